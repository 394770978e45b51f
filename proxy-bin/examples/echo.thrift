namespace go echo

struct EchoRequest {
    1: required string msg
}

struct EchoResponse {
    1: string msg
}

struct Item {
    1: i64 id
    2: string name
    3: list<string> tags
    4: optional Item parent
}

struct GetItemRequest {
    1: required i64 id (api.path = "id")
    2: optional string lang = "en" (api.query = "lang")
    3: optional string token (api.header = "x-token")
}

struct PutItemRequest {
    1: required i64 id (api.path = "id")
    2: required Item item (api.body = "item")
}

exception NotFound {
    1: string what
    2: i32 status (api.http_code = "")
}

service EchoService {
    EchoResponse Echo(1: EchoRequest request)
    Item GetItem(1: GetItemRequest request) throws (1: NotFound not_found) (api.get = "/items/:id")
    Item PutItem(1: PutItemRequest request) (api.put = "/items/:id")
    oneway void Forget(1: EchoRequest request) (api.post = "/forget")
}
