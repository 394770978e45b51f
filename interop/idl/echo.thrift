// The services that every peer of the matrix speaks. `echo` and `ping` are the ones of the golden
// vectors; do not change their shape.
namespace go echo
namespace py echo
namespace rs echo

enum Colour {
    RED = 0
    GREEN = 1
    BLUE = 7
}

struct Inner {
    1: string name
    2: i32 number
}

union Choice {
    1: i64 number
    2: string text
}

// One field of every type that Thrift Binary knows, with the containers nested.
struct Everything {
    1: bool flag
    2: i8 tiny
    3: i16 small
    4: i32 medium
    5: i64 large
    6: double real
    7: string text
    8: binary blob
    9: Colour colour
    10: Inner inner
    11: list<string> words
    12: set<i64> numbers
    13: map<string, Inner> named
    14: list<map<i32, list<Inner>>> nested
    15: optional Choice choice
    16: optional string absent
    17: list<bool> flags
    18: map<i64, double> reals
}

exception EchoError {
    1: string message
}

exception OtherError {
    1: i32 code
    2: Inner detail
}

service EchoService {
    // What `msg` says is done: see the server's handler. Any other text comes back as it is.
    string echo(1: string msg) throws (1: EchoError err)
    oneway void ping(1: string msg)

    bool echoBool(1: bool v)
    i8 echoByte(1: i8 v)
    i16 echoI16(1: i16 v)
    i32 echoI32(1: i32 v)
    i64 echoI64(1: i64 v)
    double echoDouble(1: double v)
    string echoString(1: string v)
    binary echoBinary(1: binary v)
    Colour echoEnum(1: Colour v)
    list<string> echoList(1: list<string> v)
    set<i64> echoSet(1: set<i64> v)
    map<string, Inner> echoMap(1: map<string, Inner> v)
    Choice echoUnion(1: Choice v)
    Everything echoEverything(1: Everything v)
    string echoMany(1: string a, 2: i32 b, 7: list<i64> c, 3: Inner d)

    void nothing()
    void nothingWith(1: string v)

    // Sleeps `millis`, then answers `msg`.
    string slow(1: i32 millis, 2: string msg)
    // Answers `size` bytes made from the pad, however long the pad itself is.
    binary big(1: binary pad, 2: i32 size)
    // Declared exceptions: `which` picks the one that is thrown, 0 throws nothing.
    string declared(1: i32 which) throws (1: EchoError err, 5: OtherError other)
    void declaredVoid(1: i32 which) throws (1: EchoError err)
    // A business status error with this code, text and extra.
    string business(1: i32 code, 2: string text, 3: map<string, string> extra)
    // An ordinary handler error; with a code, Kitex's transmittable kind.
    string fail(1: string text, 2: i32 code)
    string panics(1: string text)
    // Answers the metainfo that the handler saw and sends `backward` the other way.
    map<string, string> metainfo(1: map<string, string> backward)
    string whoami()
}

// Has `whoami` in common with the first one: only a service name that travels can select it.
service SecondService {
    string whoami()
    string second(1: string msg)
}
