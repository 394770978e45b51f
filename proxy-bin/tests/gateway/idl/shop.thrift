include "inc/common.thrift"

enum Kind {
    SMALL = 1
    LARGE = 2
}

struct Msg {
    1: string msg
}

struct Item {
    1: required i64 id
    2: string name
    3: list<string> tags
    4: optional Item parent
    5: optional Kind kind
    6: optional binary blob
    7: optional map<string, i32> stock
}

struct GetItem {
    1: required i64 id (api.path = "id")
    2: optional string lang (api.query = "lang")
    3: optional string token (api.header = "x-token")
    4: optional string session (api.cookie = "session")
    5: optional list<i64> also (api.query = "also")
}

struct GotItem {
    1: Item item
    2: optional string etag (api.header = "etag")
    3: optional i32 status (api.http_code = "")
    4: optional string secret (api.none = "")
}

struct PutItem {
    1: required i64 id (api.path = "id")
    2: required Item item (api.body = "item")
    3: optional common.Page page
}

struct Upload {
    1: binary data (api.raw_body = "")
    2: string name (api.path = "name")
}

struct Login {
    1: string user (api.form = "user")
    2: string password (api.form = "password")
}

exception NotFound {
    1: string what
    2: optional i32 status (api.http_code = "")
}

exception Locked {
    1: string by
}

service Shop {
    Msg Echo(1: Msg msg)
    string Say(1: string text)
    i32 Sum(1: i32 a, 2: i32 b)
    void Ping()
    void Touch(1: Msg msg) (api.post = "/touch")
    oneway void Forget(1: Msg msg) (api.post = "/forget")
    GotItem Get(1: GetItem request) throws (1: NotFound not_found, 2: Locked locked) (api.get = "/items/:id")
    Msg Put(1: PutItem request) (api.put = "/items/:id", api.patch = "/items/:id")
    Msg Send(1: Upload upload) (api.post = "/files/*name")
    Msg Enter(1: Login login) (api.post = "/login")
    Msg Chat(1: Msg msg) (streaming.mode = "bidirectional")
}
