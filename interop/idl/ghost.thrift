// A method that no server has, for peers that can only call what an IDL names.
namespace rs ghost
namespace py ghost

service Ghost {
    string nope(1: string msg)
}
