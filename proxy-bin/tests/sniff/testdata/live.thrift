// What the captures' service is, as far as it matters here.
struct Message {
    1: string text
    2: binary blob
    3: i32 n
}

exception Oops { 1: string why }

service Live {
    Message Ask(1: Message message) throws (1: Oops oops)
    string echo(1: string msg) throws (1: Oops oops)
    void ping()
    Message Chat(1: Message message) (streaming.mode = "bidirectional")
}
