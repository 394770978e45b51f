//! What an IDL says, without a backend.

use serde_json::{Value, json};
use testkit::peer::RawServer;

use crate::support::{call, run, testdata};

fn look(arguments: &[&str]) -> String {
    let ended = run(&[&["--idl", &testdata("shop.thrift")], arguments].concat());
    assert_eq!((ended.code, &*ended.stderr), (0, ""), "{arguments:?}");
    ended.stdout
}

#[test]
fn services_and_methods_are_listed() {
    assert_eq!(look(&["--list"]), "Base\nShop\n");
    assert_eq!(look(&["--list", "Base"]), "greet\n");
    let methods = look(&["--list", "Shop"]);
    for name in ["order", "sum", "note", "store", "chat", "gather", "list", "greet"] {
        assert!(methods.lines().any(|method| method == name), "{name}: {methods}");
    }
}

#[test]
fn what_there_is_is_described_in_the_words_of_the_idl() {
    let service = look(&["--describe", "Shop"]);
    assert!(service.starts_with("service Shop {\n"), "{service}");
    for line in [
        "    Item order(1: Item item) throws (1: SoldOut soldOut, 2: common.Closed closed)\n",
        "    i32 sum(1: i32 a, 2: i32 b)\n",
        "    oneway void note(1: Item item)\n",
        "    Item chat(1: Item item) (streaming.mode=\"bidirectional\")\n",
        "    string greet(1: string name)\n",
    ] {
        assert!(service.contains(line), "{line}: {service}");
    }
    assert_eq!(look(&["--describe"]), format!("service Base {{\n    string greet(1: string name)\n}}\n\n{service}"));

    let item = "struct Item {\n    1: string name\n    2: optional i64 price = 3\n    3: list<string> tags\n    \
                4: optional Item part\n    5: optional Kind kind\n    6: map<string, common.Stock> stock\n}\n";
    for name in [".Item", "Shop.Item"] {
        assert_eq!(look(&["--describe", name]), item);
    }
    assert_eq!(look(&["--describe", ".Kind"]), "enum Kind {\n    BOOK = 1\n    TOY = 2\n}\n");
    assert_eq!(look(&["--describe", ".common.Stock"]), "struct common.Stock {\n    1: i32 left\n}\n");
    let method = look(&["--describe", "Shop/order"]);
    let (signature, types) = method.split_once("\n\n").unwrap();
    assert_eq!(signature, "Item order(1: Item item) throws (1: SoldOut soldOut, 2: common.Closed closed)");
    assert!(types.starts_with(item), "{types}");
    assert_eq!(types.matches("struct Item {").count(), 1);
    assert!(types.contains("exception common.Closed {\n    1: string until\n}\n"), "{types}");

    let missing = run(&["--idl", &testdata("shop.thrift"), "--describe", ".Nothing"]);
    assert_eq!((missing.code, &*missing.stderr), (1, "error: the IDL has no .Nothing\n"));
}

#[test]
fn an_example_is_a_request() {
    let example = look(&["--example", "Shop/order"]);
    let expected = json!({"name": "text", "price": 0, "tags": ["text"], "kind": 1, "stock": {"text": {"left": 0}}});
    assert_eq!(serde_json::from_str::<Value>(&example).unwrap(), expected);
    let backend = RawServer::replying(|call| {
        let mut reply = call.reply();
        reply.body[2] = 0;
        reply.bytes()
    });
    let ended = call(&["Shop/order", "-d", &example], backend.addr());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(serde_json::from_str::<Value>(&ended.stdout).unwrap(), expected);
    let both = look(&["--example", "sum"]);
    assert_eq!(serde_json::from_str::<Value>(&both).unwrap(), json!({"a": 0, "b": 0}));
}
