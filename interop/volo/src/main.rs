mod generated {
    volo::include_service!("volo_gen.rs");
}
fn main() {}
