// The streaming service of the matrix, in Thrift: over TTHeader Streaming and over gRPC. It is the
// service of the streaming captures; do not change its shape.
namespace go live

struct Msg {
    1: string text
    2: binary blob
    3: i32 n
}

service Live {
    Msg Ask(1: Msg req)
    Msg Upload(1: Msg req) (streaming.mode = "client")
    Msg Download(1: Msg req) (streaming.mode = "server")
    Msg Chat(1: Msg req) (streaming.mode = "bidirectional")
}

// Says nothing of its own: a server with more than one service answers unknown names as they do in
// the wild.
service LiveToo {
    Msg AskToo(1: Msg req)
}
