//! Rows of generic-call 7.4: which method an HTTP request calls.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panics")]

use std::fmt::Write as _;

use thrift_generic::Descriptor;
use thrift_generic::descriptor::Route;
use thrift_generic::http::{RouteError, RouteMismatch, Router, RouterBuilder};

/// Adds routes one by one for GET, and tells of each what came of it.
fn register<'a>(paths: impl IntoIterator<Item = &'a str>) -> (RouterBuilder, Vec<Result<(), RouteError>>) {
    let descriptor = Descriptor::from_text("service S { string M(1: string s) }").unwrap();
    let mut builder = Router::builder();
    let number = builder.add_descriptor();
    let results =
        paths.into_iter().map(|path| builder.add_route(number, 0, &descriptor, &Route::new("GET", path))).collect();
    (builder, results)
}

fn router<'a>(paths: impl IntoIterator<Item = &'a str>) -> Router {
    let (builder, results) = register(paths);
    for result in results {
        result.unwrap();
    }
    builder.build()
}

/// The pattern that takes a path, and what it takes of it: `/a/:x x=1`. Empty for none.
fn found(router: &Router, path: &str) -> String {
    let Ok(found) = router.find("GET", path) else { return String::new() };
    let mut text = router.routes().nth(found.route).unwrap().path.to_string();
    for (name, value) in found.params.iter() {
        write!(text, " {name}={}", String::from_utf8_lossy(value)).unwrap();
    }
    text
}

/// A service whose methods have these annotations, in order.
fn service(annotations: &[&str]) -> Descriptor {
    let methods: String =
        annotations.iter().enumerate().map(|(n, text)| format!("string M{n}(1: string s) ({text})\n")).collect();
    Descriptor::from_text(&format!("service S {{ {methods} }}")).unwrap()
}

const W: [&str; 18] = [
    "/",
    "/cmd/:tool/:sub",
    "/cmd/:tool/",
    "/cmd/xxx/",
    "/src/*filepath",
    "/search/",
    "/search/:query",
    "/user_:name",
    "/user_:name/about",
    "/files/:dir/*filepath",
    "/doc/",
    "/doc/go_faq.html",
    "/doc/go1.html",
    "/info/:user/public",
    "/info/:user/project/:project",
    "/a/b/:c",
    "/a/:b/c/d",
    "/a/*b",
];

#[test]
fn r_01_literals_match_whole_paths() {
    let router =
        router(["/hi", "/contact", "/co", "/c", "/a", "/ab", "/doc/", "/doc/go_faq.html", "/doc/go1.html", "/α", "/β"]);
    for path in ["/a", "/hi", "/contact", "/co", "/ab", "/α", "/β"] {
        assert_eq!(found(&router, path), path);
    }
    for path in ["", "a", "/", "/con", "/cona", "/no"] {
        assert_eq!(found(&router, path), "", "{path}");
    }
}

#[test]
fn r_02_a_parameter_is_a_segment() {
    let router = router(W);
    assert_eq!(found(&router, "/cmd/test/"), "/cmd/:tool/ tool=test");
    assert_eq!(found(&router, "/cmd/test"), "");
    assert_eq!(found(&router, "/cmd/test/3"), "/cmd/:tool/:sub tool=test sub=3");
    assert_eq!(found(&router, "/cmd/xxx/"), "/cmd/xxx/");
}

#[test]
fn r_03_a_catch_all_may_be_empty() {
    let router = router(W);
    assert_eq!(found(&router, "/src/"), "/src/*filepath filepath=");
    assert_eq!(found(&router, "/src/some/file.png"), "/src/*filepath filepath=some/file.png");
    assert_eq!(found(&router, "/src"), "");
}

#[test]
fn r_04_a_parameter_is_not_empty_and_has_no_slash() {
    let router = router(W);
    assert_eq!(found(&router, "/search/"), "/search/");
    assert_eq!(found(&router, "/search/someth!ng+in+ünìcodé"), "/search/:query query=someth!ng+in+ünìcodé");
    assert_eq!(found(&router, "/search/someth!ng+in+ünìcodé/"), "");
}

#[test]
fn r_05_a_parameter_may_have_a_prefix() {
    let router = router(W);
    assert_eq!(found(&router, "/user_gopher"), "/user_:name name=gopher");
    assert_eq!(found(&router, "/user_gopher/about"), "/user_:name/about name=gopher");
    assert_eq!(found(&router, "/user_"), "");
}

#[test]
fn r_06_a_parameter_before_a_catch_all() {
    let expected = "/files/:dir/*filepath dir=js filepath=inc/framework.js";
    assert_eq!(found(&router(W), "/files/js/inc/framework.js"), expected);
}

#[test]
fn r_07_where_the_best_way_leads_nowhere_the_next_is_taken() {
    let router = router(W);
    assert_eq!(found(&router, "/a/b/c"), "/a/b/:c c=c");
    assert_eq!(found(&router, "/a/b/c/d"), "/a/:b/c/d b=b");
    assert_eq!(found(&router, "/a/b"), "/a/*b b=b");
    assert_eq!(found(&router, "/a/b/c/d/e"), "/a/*b b=b/c/d/e");
}

#[test]
fn r_08_parameters_between_literals() {
    let router = router(W);
    assert_eq!(found(&router, "/info/gordon/public"), "/info/:user/public user=gordon");
    assert_eq!(found(&router, "/info/gordon/project/go"), "/info/:user/project/:project user=gordon project=go");
}

#[test]
fn r_09_parameters_can_be_unescaped_after_the_match() {
    let (builder, _) = register([
        "/",
        "/cmd/:tool/:sub",
        "/cmd/:tool/",
        "/src/*filepath",
        "/search/:query",
        "/files/:dir/*filepath",
        "/info/:user/project/:project",
        "/info/:user",
    ]);
    let router = builder.unescape_params(true).build();
    for (path, expected) in [
        ("/", "/"),
        ("/cmd/test/", "/cmd/:tool/ tool=test"),
        ("/cmd/test", ""),
        ("/src/some/file.png", "/src/*filepath filepath=some/file.png"),
        ("/src/some/file+test.png", "/src/*filepath filepath=some/file test.png"),
        ("/src/some/file++++%%%%test.png", "/src/*filepath filepath=some/file++++%%%%test.png"),
        ("/src/some/file%2Ftest.png", "/src/*filepath filepath=some/file/test.png"),
        ("/search/someth!ng+in+ünìcodé", "/search/:query query=someth!ng in ünìcodé"),
        ("/info/slash%2Fgordon", "/info/:user user=slash/gordon"),
        (
            "/info/slash%2Fgordon/project/Project%20%231",
            "/info/:user/project/:project user=slash/gordon project=Project #1",
        ),
        ("/info/slash%%%%", "/info/:user user=slash%%%%"),
        (
            "/info/slash%%%%2Fgordon/project/Project%%%%20%231",
            "/info/:user/project/:project user=slash%%%%2Fgordon project=Project%%%%20%231",
        ),
    ] {
        assert_eq!(found(&router, path), expected, "{path}");
    }
}

#[test]
fn r_10_conflicts() {
    let routes = [
        ("/cmd/:tool/:sub", true),
        ("/cmd/vet", true),
        ("/src/*filepath", true),
        ("/src/*filepathx", false),
        ("/src/", true),
        ("/src1/", true),
        ("/src1/*filepath", true),
        ("/src2*filepath", false),
        ("/search/:query", true),
        ("/search/invalid", true),
        ("/user_:name", true),
        ("/user_x", true),
        ("/user_:name", false),
        ("/id:id", true),
        ("/id/:id", true),
    ];
    let (_, results) = register(routes.map(|(path, _)| path));
    for ((path, ok), result) in routes.iter().zip(results) {
        assert_eq!(result.is_ok(), *ok, "{path}: {result:?}");
    }
}

#[test]
fn r_11_literals_parameters_and_catch_alls_live_side_by_side() {
    let routes = [
        "/cmd/vet",
        "/cmd/:tool/:sub",
        "/src/AUTHORS",
        "/src/*filepath",
        "/user_x",
        "/user_:name",
        "/id/:id",
        "/id:id",
        "/:id",
        "/*filepath",
    ];
    let router = router(routes);
    assert_eq!(found(&router, "/src/AUTHORS"), "/src/AUTHORS");
    assert_eq!(found(&router, "/id7"), "/id:id id=7");
    assert_eq!(found(&router, "/id"), "/:id id=id");
    assert_eq!(found(&router, "/cmd/x"), "/*filepath filepath=cmd/x");
    assert_eq!(found(&router, "/"), "/*filepath filepath=");
}

#[test]
fn r_12_a_second_route_at_one_place_fails_and_the_first_stays() {
    for path in ["/", "/doc/", "/src/*filepath", "/search/:query", "/user_:name"] {
        let (builder, results) = register([path, path]);
        assert_eq!(results[0], Ok(()));
        let error = results[1].clone().unwrap_err();
        assert_eq!(error.to_string(), format!("handlers are already registered for path '{path}'"));
        assert!(matches!(error, RouteError::Taken { by: 0, .. }));
        let request = path.replace([':', '*'], "");
        assert!(found(&builder.build(), &request).starts_with(path), "{request}");
    }
}

#[test]
fn r_12_names_of_parameters_do_not_tell_routes_apart() {
    let (_, results) = register(["/life/client/:action/:biz/*one", "/life/client/:action/:biz/*two"]);
    let error = results[1].clone().unwrap_err().to_string();
    assert_eq!(error, "handlers are already registered for path '/life/client/:action/:biz/*two'");
    let (_, results) = register(["/a/:x", "/a/:y"]);
    assert!(results[1].is_err());
    let router = router(["/a/:x/1", "/a/:y/2"]);
    assert_eq!(found(&router, "/a/7/1"), "/a/:x/1 x=7");
    assert_eq!(found(&router, "/a/7/2"), "/a/:y/2 y=7");
}

#[test]
fn r_12_a_descriptor_whose_routes_conflict_adds_none() {
    let mut builder = Router::builder();
    let first = service(&["api.get = '/a'"]);
    let second = service(&["api.get = '/b', api.post = '/only'", "api.get = '/a'"]);
    assert_eq!(builder.add(&first), Ok(0));
    assert!(matches!(builder.add(&second), Err(RouteError::Taken { by: 0, .. })));
    assert_eq!(builder.add(&service(&["api.get = '/b'"])), Ok(1));
    let router = builder.build();
    assert_eq!(router.find("GET", "/b").unwrap().descriptor, 1);
    assert_eq!(router.find("POST", "/only").unwrap_err().reason, RouteMismatch::Method);
    assert_eq!(router.routes().len(), 2);
}

#[test]
fn r_13_a_placeholder_needs_a_name() {
    for path in ["/user:", "/user:/", "/cmd/:/", "/src/*"] {
        let (_, results) = register([path]);
        let error = results[0].clone().unwrap_err().to_string();
        assert_eq!(error, format!("wildcards must be named with a non-empty name in path '{path}'"));
    }
}

#[test]
fn r_14_a_catch_all_is_last() {
    let (_, results) = register([
        "/src/*filepath/x",
        "/src2/",
        "/src2/*filepath/x",
        "/src3/*filepath",
        "/src3/*filepath/x",
        "/src4*filepath",
    ]);
    let text = |at: usize| results[at].clone().unwrap_err().to_string();
    for (at, path) in [(0, "/src/*filepath/x"), (2, "/src2/*filepath/x"), (4, "/src3/*filepath/x")] {
        assert_eq!(text(at), format!("catch-all routes are only allowed at the end of the path in path '{path}'"));
    }
    assert_eq!(results[1], Ok(()));
    assert_eq!(results[3], Ok(()));
    assert_eq!(text(5), "no / before wildcards in path /src4*filepath");
}

#[test]
fn r_15_one_placeholder_a_segment() {
    for path in ["/:foo:bar", "/:foo:bar/", "/:foo*bar"] {
        let (_, results) = register([path]);
        let error = results[0].clone().unwrap_err().to_string();
        assert!(error.starts_with("only one wildcard per path segment is allowed"), "{error}");
        assert!(error.contains(path), "{error}");
    }
}

#[test]
fn r_16_a_path_starts_with_a_slash_and_a_route_has_a_function() {
    for path in ["", "user", ":user", "*user"] {
        let (_, results) = register([path]);
        let error = results[0].clone().unwrap_err().to_string();
        assert_eq!(error, format!("path must begin with '/' in path '{path}'"));
    }
    let descriptor = Descriptor::from_text("service S { string M(1: string s) }").unwrap();
    let mut builder = Router::builder();
    let number = builder.add_descriptor();
    let error = builder.add_route(number, 1, &descriptor, &Route::new("GET", "/hi")).unwrap_err();
    assert_eq!(error, RouteError::NoFunction("/hi".into()));
    let error = builder.add_route(number, 0, &descriptor, &Route::new("", "/hi")).unwrap_err();
    assert_eq!(error, RouteError::NoMethod);
    assert!(builder.routes().is_empty());
}

#[test]
fn r_17_a_trailing_slash_counts() {
    let router = router([
        "/hi",
        "/b/",
        "/search/:query",
        "/cmd/:tool/",
        "/src/*filepath",
        "/x",
        "/x/y",
        "/y/",
        "/y/z",
        "/0/:id",
        "/0/:id/1",
        "/1/:id/",
        "/1/:id/2",
        "/doc",
        "/doc/go_faq.html",
        "/no/a",
        "/no/b",
    ]);
    for path in [
        "/hi/",
        "/b",
        "/search/gopher/",
        "/cmd/vet",
        "/src",
        "/x/",
        "/y",
        "/0/go/",
        "/1/go",
        "/doc/",
        "/",
        "/no",
        "/no/",
        "/_",
        "/_/",
    ] {
        assert_eq!(found(&router, path), "", "{path}");
    }
}

#[test]
fn r_18_methods_and_case_are_told_apart() {
    let mut builder = Router::builder();
    builder.add(&service(&["api.get = '/a/:x', api.post = '/a/:x'", "api.get = '/a/b'"])).unwrap();
    let router = builder.build();
    let one = router.find("GET", "/a/1").unwrap();
    assert_eq!((one.function, one.params.get("x").as_deref()), (0, Some("1")));
    let literal = router.find("GET", "/a/b").unwrap();
    assert_eq!((literal.function, literal.params.len()), (1, 0));
    let post = router.find("POST", "/a/b").unwrap();
    assert_eq!((post.function, post.params.get("x").as_deref()), (0, Some("b")));
    for method in ["PUT", "PATCH", "HEAD", "get"] {
        let error = router.find(method, "/a/1").unwrap_err();
        assert_eq!(error.to_string(), format!("function lookup failed, no root with method={method}"));
    }
    for path in ["/A/1", "/a/", "/a/b/"] {
        let error = router.find("GET", path).unwrap_err();
        assert_eq!(error.to_string(), format!("function lookup failed, path={path}"));
    }
}

#[test]
fn r_18_any_is_tried_after_the_own_method() {
    let mut builder = Router::builder();
    builder.add(&service(&["api.any = '/a/:x'", "api.get = '/a/b'", "api.patch = '/p', api.head = '/p'"])).unwrap();
    let router = builder.build();
    assert_eq!(router.find("GET", "/a/b").unwrap().function, 1);
    assert_eq!(router.find("GET", "/a/c").unwrap().function, 0);
    assert_eq!(router.find("DELETE", "/a/b").unwrap().function, 0);
    assert_eq!(router.find("PATCH", "/p").unwrap().function, 2);
    assert_eq!(router.find("HEAD", "/p").unwrap().function, 2);
    assert_eq!(router.find("PUT", "/p").unwrap_err().reason, RouteMismatch::Path);
}

#[test]
fn r_19_paths_are_matched_decoded() {
    let router = router(["/a/:x"]);
    assert_eq!(found(&router, "/a/%E4%BD%A0"), "/a/:x x=你");
    assert_eq!(found(&router, "/a/x%2Fy"), "");
    // Not decoded again.
    assert_eq!(found(&router, "/a/%2541"), "/a/:x x=%41");
    // Bytes in another encoding stay what they are.
    let gbk = router.find("GET", "/a/%c4%e3").unwrap();
    assert_eq!(gbk.params.bytes("x"), Some(&b"\xc4\xe3"[..]));
    let error = router.find("GET", "/a/%zz").unwrap_err();
    assert_eq!(error.reason, RouteMismatch::Escape);
}

#[test]
fn r_20_many_parameters() {
    let router = router([&*"/:param".repeat(256)]);
    let found = router.find("GET", &"/x".repeat(256)).unwrap();
    assert_eq!(found.params.len(), 256);
    assert!(router.find("GET", &"/x".repeat(255)).is_err());
}

#[test]
fn r_20_a_path_of_any_length_is_walked_and_dropped() {
    let long = "/:p".repeat(100_000);
    let router = router([&*long]);
    assert_eq!(router.find("GET", &"/x".repeat(100_000)).unwrap().params.len(), 100_000);
    assert!(router.find("GET", &"/".repeat(100_000)).is_err());
}

#[test]
fn r_21_one_route_an_annotation() {
    let mut builder = Router::builder();
    builder.add(&service(&["api.post = '/a', api.post = '/b', api.get = '/c'"])).unwrap();
    let router = builder.build();
    assert!(router.find("POST", "/a").is_ok());
    assert!(router.find("POST", "/b").is_err());
    let routes: Vec<_> = router.routes().map(|route| (&*route.method, &*route.path, &*route.name)).collect();
    assert_eq!(routes, [("POST", "/a", "M0"), ("GET", "/c", "M0")]);
}

#[test]
fn several_services_share_a_router() {
    let mut builder = Router::builder();
    assert_eq!(builder.add(&service(&["api.get = '/a'"])), Ok(0));
    assert_eq!(builder.add(&service(&["", "api.get = '/b'"])), Ok(1));
    let router = builder.build();
    let found = router.find("GET", "/b").unwrap();
    assert_eq!((found.descriptor, found.function), (1, 1));
}
