// The services that generic clients and servers call each other by. `Generic` is the last one: what a
// generic client takes when it is not told otherwise.
namespace go gen

enum Kind {
    PLAIN = 0
    FANCY = 7
}

struct Item {
    1: required string name
    2: optional i64 price (api.js_conv = "")
    3: list<string> tags
}

struct Note {
    1: string text
    2: i64 number
    3: binary blob
    4: list<Item> items
    5: map<string, i64> counts
    6: Kind kind
    7: double real
    8: optional i32 preset = 5
    9: set<string> words
    10: map<i64, string> names
    11: bool flag
    12: i8 tiny
    13: i16 small
    14: optional Item item
    15: optional string absent
    16: optional string alias (go.tag = 'json:"renamed"')
    17: list<list<i32>> grid
}

exception Refused {
    1: i32 code
    2: string why
}

exception Busy {
    1: i64 seconds
}

// What an HTTP request is taken apart into, and an answer put together from.
struct Fetch {
    1: i64 id (api.path = "id")
    2: optional string q (api.query = "q")
    3: optional list<i64> ids (api.query = "ids")
    4: optional string token (api.header = "X-Token")
    5: optional string session (api.cookie = "session")
    6: optional Item item (api.body = "item")
    7: optional string plain
    8: optional bool flag (api.query = "flag")
}

struct Fetched {
    1: string text
    2: optional string trace (api.header = "X-Trace")
    3: optional i32 code (api.http_code = "")
    4: optional list<i64> ids (api.header = "X-Ids")
    5: optional Item item (api.body = "item")
    6: map<string, i64> counts
    7: optional string hidden (api.none = "")
}

service Ancestor {
    string Inherited(1: string text)
}

service Second {
    string Whoami(1: string text)
    Note Other(1: Note req)
}

service Generic extends Ancestor {
    // What `req.text` says is done: see the servers. Any other text comes back as it is.
    Note Echo(1: Note req) throws (1: Refused refused, 2: Busy busy) (api.post = "/echo")
    string Ping(1: string text)
    binary Bytes(1: binary blob)
    list<i64> Numbers(1: list<i64> numbers)
    void Nothing(1: string text)
    oneway void Tell(1: string text)
    string Told(1: string text)
    Fetched Fetch(1: Fetch req) throws (1: Refused refused) (api.get = "/items/:id", api.post = "/items/:id")
    Fetched Remove(1: Fetch req) (api.delete = "/items/:id")
    Fetched Replace(1: Fetch req) (api.put = "/items/:id/*rest")
    Note Unary(1: Note req) (streaming.mode = "unary")
    Note Upload(1: Note req) (streaming.mode = "client")
    Note Download(1: Note req) (streaming.mode = "server")
    Note Chat(1: Note req) (streaming.mode = "bidirectional")
}
