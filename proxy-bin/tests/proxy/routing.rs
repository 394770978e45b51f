//! Which backend a call goes to: service, method, metadata, caller, listener, in the order of the file; and which of a
//! cluster's endpoints.

use testkit::peer::{Form, Message, RawServer};
use ttheader::{IntKey, keys};

use crate::support::TestProxy;

/// Answers with its own name.
fn named(name: &'static str) -> RawServer {
    RawServer::replying(move |call| call.reply().text(name).bytes())
}

/// A proxy with these routes over the backends `a`, `b` and `c`.
struct Routed {
    proxy: TestProxy,
    _backends: [RawServer; 3],
}

impl Routed {
    fn new(routes: &str) -> Self {
        let backends = [named("a"), named("b"), named("c")];
        let [a, b, c] = backends.each_ref().map(RawServer::addr);
        let proxy = TestProxy::start(&format!(
            "workers = 1\n[[listener]]\nname = \"one\"\nbind = \"127.0.0.1:0\"\n[[listener]]\nname = \"two\"\nbind = \
             \"127.0.0.1:0\"\n{routes}\n[cluster.a]\nendpoints = [\"{a}\"]\n[cluster.b]\nendpoints = [\"{b}\"]\n\
             [cluster.c]\nendpoints = [\"{c}\"]\n"
        ));
        Self { proxy, _backends: backends }
    }

    /// Who answers `call`; the code where the proxy does.
    fn answer(&self, call: &Message) -> String {
        self.answer_at(0, call)
    }

    fn answer_at(&self, listener: usize, call: &Message) -> String {
        let reply = testkit::peer::RawClient::connect(self.proxy.addrs()[listener]).exchange(call);
        if reply.message_type == thrift_codec::MessageType::EXCEPTION {
            return reply.code_and_text().0.to_string();
        }
        String::from_utf8_lossy(&reply.body[7..8]).into_owned()
    }
}

fn of_service(service: &str, method: &str) -> Message {
    Message::call(method, 7).form(Form::TtHeader).string(keys::IDL_SERVICE_NAME, service)
}

#[test]
fn a_service_is_matched_whole_or_by_its_beginning() {
    let routed =
        Routed::new("[[route]]\nservice = \"Echo\"\ncluster = \"a\"\n[[route]]\nservice = \"Ech*\"\ncluster = \"b\"");
    for (service, who) in [("Echo", "a"), ("EchoService", "b"), ("Ech", "b"), ("Ec", "20"), ("echo", "20")] {
        assert_eq!(routed.answer(&of_service(service, "m")), who, "{service}");
        let mesh = Message::call("m", 7).form(Form::MeshFramed).string(keys::IDL_SERVICE_NAME, service);
        assert_eq!(routed.answer(&mesh), who, "{service} in a mesh header");
    }
}

#[test]
fn a_method_is_matched_whole_or_by_its_beginning_in_every_form() {
    let routed = Routed::new(
        "[[route]]\nmethod = \"Get\"\ncluster = \"a\"\n[[route]]\nmethod = \"Get*\"\ncluster = \"b\"\n[[route]]\nmethod \
         = \"Put\"\ncluster = \"c\"",
    );
    for form in Form::ALL {
        for (method, who) in [("Get", "a"), ("GetAll", "b"), ("Put", "c"), ("PutAll", "20")] {
            assert_eq!(routed.answer(&Message::call(method, 7).form(form)), who, "{method} {form:?}");
        }
    }
}

#[test]
fn the_first_route_that_matches_wins() {
    let routed = Routed::new(
        "[[route]]\nmethod = \"x*\"\ncluster = \"b\"\n[[route]]\ncluster = \"a\"\n[[route]]\nmethod = \"y\"\ncluster = \
         \"c\"",
    );
    for (method, who) in [("x", "b"), ("xy", "b"), ("y", "a"), ("z", "a")] {
        assert_eq!(routed.answer(&Message::call(method, 7)), who);
    }
    assert_eq!(routed.proxy.totals().routes, [2, 2, 0]);
}

#[test]
fn metadata_is_matched_by_all_its_keys_and_the_last_duplicate() {
    let routed = Routed::new(
        "[[route]]\nmetadata = { env = \"test\", RPC_PERSIST_lane = \"blue*\" }\ncluster = \"a\"\n[[route]]\nmetadata = { \
         env = \"*\" }\ncluster = \"b\"\n[[route]]\ncluster = \"c\"",
    );
    for form in [Form::TtHeader, Form::MeshBuffered] {
        let call = Message::call("m", 7).form(form);
        let both = call.clone().string("env", "test").string("RPC_PERSIST_lane", "blue-2");
        assert_eq!(routed.answer(&both), "a");
        assert_eq!(routed.answer(&both.clone().string("env", "prod")), "b", "the last duplicate counts");
        assert_eq!(routed.answer(&call.clone().string("env", "")), "b", "there, and empty");
        assert_eq!(routed.answer(&call.clone().string("ENV", "test")), "c");
    }
    assert_eq!(routed.answer(&Message::call("m", 7)), "c", "Framed has no metadata");
}

#[test]
fn a_caller_is_matched_by_the_name_in_its_header() {
    let routed = Routed::new(
        "[[route]]\ncaller = \"shop\"\ncluster = \"a\"\n[[route]]\ncaller = \"shop.*\"\ncluster = \"b\"\n[[route]]\ncluster \
         = \"c\"",
    );
    let from = |caller: &str| Message::call("m", 7).form(Form::TtHeaderFramed).int(IntKey::FROM_SERVICE, caller);
    for (caller, who) in [("shop", "a"), ("shop.cart", "b"), ("shopper", "c"), ("", "c")] {
        assert_eq!(routed.answer(&from(caller)), who, "{caller}");
    }
    assert_eq!(routed.answer(&Message::call("m", 7)), "c");
}

#[test]
fn a_route_may_belong_to_one_listener() {
    let routed = Routed::new(
        "[[route]]\nlistener = \"two\"\ncluster = \"b\"\n[[route]]\nlistener = \"one\"\nmethod = \"m\"\ncluster = \"a\"",
    );
    assert_eq!(routed.answer_at(0, &Message::call("m", 7)), "a");
    assert_eq!(routed.answer_at(1, &Message::call("m", 7)), "b");
    assert_eq!(routed.answer_at(0, &Message::call("n", 7)), "20");
}

#[test]
fn a_call_that_names_no_service_is_looked_for_by_method_alone() {
    let routed = Routed::new(
        "[[route]]\nservice = \"A\"\nmethod = \"a\"\ncluster = \"a\"\n[[route]]\nservice = \"B\"\nmethod = \"b\"\ncluster \
         = \"b\"",
    );
    for form in Form::ALL {
        assert_eq!(routed.answer(&Message::call("b", 7).form(form)), "b");
    }
    assert_eq!(routed.answer(&of_service("A", "b")), "1", "the service is known, its method is not");
    assert_eq!(routed.answer(&of_service("C", "b")), "20");
}

#[test]
fn endpoints_take_turns_by_their_weights() {
    let backends = [RawServer::echo(), RawServer::echo(), RawServer::echo()];
    let [a, b, c] = backends.each_ref().map(RawServer::addr);
    for cluster in ["", "mux = true"] {
        let before = backends.each_ref().map(|backend| backend.messages().len());
        let proxy = TestProxy::start(&format!(
            "workers = 1\n[[listener]]\nbind = \"127.0.0.1:0\"\n[[route]]\ncluster = \"c\"\n[cluster.c]\nendpoints = [{{ \
             address = \"{a}\", weight = 5 }}, {{ address = \"{b}\", weight = 1 }}, {{ address = \"{c}\", weight = 1 \
             }}]\n{cluster}"
        ));
        let mut caller = proxy.connect();
        for seqid in 0..70 {
            caller.exchange(&Message::call("echo", seqid));
        }
        let after = backends.each_ref().map(|backend| backend.messages().len());
        let took: Vec<_> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        assert_eq!(took, [50, 10, 10], "{cluster}");
        assert_eq!(proxy.totals().upstream_connections, 3, "one connection each was enough");
    }
}
