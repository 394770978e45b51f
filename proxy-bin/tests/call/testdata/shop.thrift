namespace go shop

include "parts/common.thrift"

enum Kind { BOOK = 1, TOY = 2 }

struct Item {
    1: string name
    2: optional i64 price = 3
    3: list<string> tags
    4: optional Item part
    5: optional Kind kind
    6: map<string, common.Stock> stock
}

exception SoldOut { 1: i32 code, 2: string why }

service Base { string greet(1: string name) }

service Shop extends Base {
    Item order(1: Item item) throws (1: SoldOut soldOut, 2: common.Closed closed)
    i32 sum(1: i32 a, 2: i32 b)
    oneway void note(1: Item item)
    void store(1: Item item)
    Item chat(1: Item item) (streaming.mode = "bidirectional")
    Item gather(1: Item item) (streaming.mode = "client")
    Item list(1: Item item) (streaming.mode = "server")
}
