struct Item {
    1: strin name
}
service Shop { Item order(1: Item item) }
