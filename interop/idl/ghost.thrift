// A method that no server has, for peers that can only call what an IDL names.
service Ghost {
    string nope(1: string msg)
}
