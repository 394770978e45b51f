//! What a gateway says of itself.

use serde_json::{Value, json};
use testkit::peer::RawServer;

use crate::client::{Http, get};
use crate::gateway;
use crate::reload::Directory;
use crate::support::Setup;

#[test]
fn the_page_lists_every_method() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let answer = get(proxy.addr(), "/");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let page = answer.text();
    for text in [
        "1 service, 11 methods, 7 routes",
        "<small>shop.thrift</small>",
        "Shop.<b>Echo</b>(Msg) → Msg",
        "Shop.<b>Forget</b>(Msg) → oneway",
        "/items/<i>:id</i>",
        "curl -X PUT &#39;http://shop.test/items/1&#39;",
        "http://shop.test/items/1?lang=lang&amp;also=1",
        "-H &#39;x-token: token&#39;",
        "-d &#39;{&quot;msg&quot;:&quot;msg&quot;}&#39;",
        "streams: not over HTTP",
        "href=\"/openapi.json\"",
    ] {
        assert!(page.contains(text), "{text}\n{page}");
    }
    assert!(!page.contains("{{") && !page.contains('\u{1}'));
    // Nothing from elsewhere, no script, and no name of a host that is one.
    assert!(!page.contains("<script") && !page.contains("src="));
    assert!(answer.header("content-security-policy").unwrap().contains("default-src 'none'"));
    let mut http = Http::connect(proxy.addr());
    http.conn.send("GET / HTTP/1.1\r\nhost: <script>alert(1)</script>\r\n\r\n");
    let answer = http.read();
    assert!(answer.status == 400 || !answer.text().contains("<script"), "{}", answer.text());
}

#[test]
fn the_examples_of_the_page_work() {
    let backend = RawServer::replying(|call| call.reply().body([0]).bytes());
    let proxy = gateway(&backend).start();
    let page = get(proxy.addr(), "/").text().to_owned();
    let mut http = Http::connect(proxy.addr());
    let mut asked = 0;
    for example in page.split("<pre>curl").skip(1) {
        let example =
            example.split("</pre>").next().unwrap().replace("&#39;", "'").replace("&quot;", "\"").replace("&amp;", "&");
        let quoted: Vec<&str> = example.split('\'').collect();
        let target = quoted[1].strip_prefix("http://shop.test").unwrap();
        let is_body = |before: &str| before.ends_with("-d ") || before.ends_with("--data-binary ");
        let body = quoted.windows(2).find(|pair| is_body(pair[0])).map_or("", |pair| pair[1]);
        let content_type = quoted.iter().find_map(|part| part.strip_prefix("content-type: ")).unwrap_or_default();
        let verb = example.trim_start().strip_prefix("-X ").and_then(|rest| rest.split(' ').next());
        let verb = verb.unwrap_or(if body.is_empty() { "GET" } else { "POST" });
        let headers = if body.is_empty() { &[][..] } else { &[("content-type", content_type)][..] };
        let answer = http.ask(&format!("{verb} {target}"), headers, body);
        assert!((200..300).contains(&answer.status), "{verb} {target} {body}: {} {}", answer.status, answer.text());
        asked += 1;
    }
    assert_eq!(asked, 17, "ten methods by name, and seven routes");
}

/// Every `$ref` leads somewhere.
fn check_references(document: &Value, at: &Value) {
    match at {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_str().filter(|_| name == "$ref") {
                    Some(reference) => {
                        let pointer = reference.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some_and(|target| !target.is_null()), "{reference}");
                    }
                    None => check_references(document, value),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| check_references(document, item)),
        _ => {}
    }
}

#[test]
fn openapi_describes_what_is_served() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let document = get(proxy.addr(), "/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    check_references(&document, &document);
    let paths = document["paths"].as_object().unwrap();
    let methods: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(methods, 17, "{:?}", paths.keys());
    assert!(!paths.contains_key("/Shop/Chat"));

    let get = &document["paths"]["/items/{id}"]["get"];
    let parameter =
        |name: &str| get["parameters"].as_array().unwrap().iter().find(|known| known["name"] == name).unwrap();
    assert_eq!(
        parameter("id"),
        &json!({
            "name": "id", "in": "path", "required": true, "schema": { "type": "integer", "format": "int64" },
        })
    );
    assert_eq!((&parameter("lang")["in"], &parameter("lang")["required"]), (&json!("query"), &json!(false)));
    assert_eq!(parameter("x-token")["in"], "header");
    assert_eq!(parameter("session")["in"], "cookie");
    assert_eq!(parameter("also")["explode"], false);
    assert!(get.get("requestBody").is_none());
    let ok = &get["responses"]["200"];
    assert_eq!(ok["headers"]["etag"]["schema"]["type"], "string");
    let bodies = ok["content"]["application/json"]["schema"]["anyOf"].as_array().unwrap();
    assert_eq!(bodies.len(), 3);
    assert_eq!(bodies[0]["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["item"]);
    assert_eq!(bodies[1]["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["what"]);

    let put = &document["paths"]["/items/{id}"]["put"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(put["required"], json!(["item"]));
    assert_eq!(put["properties"]["item"]["$ref"], "#/components/schemas/Item");
    let item = &document["components"]["schemas"]["Item"];
    assert_eq!(
        item["properties"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["id", "name", "tags", "parent", "kind", "blob", "stock"]
    );
    assert_eq!(item["properties"]["parent"]["$ref"], "#/components/schemas/Item", "it contains itself");
    assert_eq!(item["properties"]["kind"]["enum"], json!([1, 2]));
    assert_eq!(item["properties"]["kind"]["x-enum-varnames"], json!(["SMALL", "LARGE"]));
    assert_eq!(item["properties"]["blob"]["contentEncoding"], "base64");
    assert_eq!(item["properties"]["stock"]["additionalProperties"]["format"], "int32");
    assert_eq!(document["components"]["schemas"]["common.Page"]["properties"]["number"]["default"], 1);
    assert_eq!(document["components"]["schemas"]["common.Page"]["properties"]["size"]["default"], 20);

    let by_name = &document["paths"]["/Shop/Get"]["post"];
    assert!(by_name["responses"]["422"].is_object() && by_name["responses"]["default"].is_object());
    assert_eq!(
        document["paths"]["/Shop/Sum"]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]["b"]
            ["format"],
        "int32"
    );
    assert!(document["paths"]["/Shop/Forget"]["post"]["responses"]["202"].is_object());
    assert!(document["paths"]["/touch"]["post"]["responses"]["204"].is_object());
    assert!(
        document["paths"]["/login"]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"].is_object()
    );
}

#[test]
fn head_is_a_get_without_a_body() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let mut http = Http::connect(proxy.addr());
    for path in ["/", "/openapi.json"] {
        http.send(&format!("HEAD {path}"), &[], "");
        let answer = http.read_head();
        assert_eq!(answer.status, 200);
        assert!(answer.header("content-length").unwrap().parse::<usize>().unwrap() > 1000);
    }
    assert_eq!(http.get("/openapi.json").status, 200, "nothing lies in between");
}

#[test]
fn a_route_may_take_the_page_s_place() {
    let backend = RawServer::replying(|call| call.reply().body(crate::thrift::msg(0, "mine")).bytes());
    let directory = Directory::new();
    directory.write("root.thrift", "struct M { 1: string msg }\nservice Root { M Index() (api.get = \"/\") }");
    let proxy = Setup::to(&backend).listener(&directory.listener()).start();
    assert_eq!(get(proxy.addr(), "/").json(), json!({ "msg": "mine" }));
    assert_eq!(get(proxy.addr(), "/openapi.json").status, 200);
    let mut http = Http::connect(proxy.addr());
    http.send("HEAD /", &[], "");
    assert_eq!(http.read_head().header("content-type"), Some("application/json"));
}

#[test]
fn names_that_two_files_have_are_told_apart() {
    let backend = RawServer::echo();
    let directory = Directory::new();
    directory.write("a.thrift", "struct M { 1: string a }\nservice A { M Do(1: M m) }");
    directory.write("b.thrift", "include \"a.thrift\"\nstruct M { 1: a.M b }\nservice B { M Do(1: M m) }");
    let proxy = Setup::to(&backend).listener(&directory.listener()).start();
    let document = get(proxy.addr(), "/openapi.json").json();
    check_references(&document, &document);
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert!(schemas["a.M"]["properties"].get("a").is_some(), "{schemas:?}");
    assert_eq!(schemas["b.M"]["properties"]["b"]["$ref"], "#/components/schemas/a.M");
}
