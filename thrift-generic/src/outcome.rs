/// How a call came back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome<T> {
    /// With its result.
    Value(T),
    /// The method is void, and succeeded.
    Void,
    /// The method has a result, and it is not there: what a generic server makes of `null`.
    Empty,
    /// With a declared exception.
    Exception {
        /// The id of its entry in `throws`: a field of [`Function::result`](crate::descriptor::Function::result).
        id: i16,
        /// Its value.
        value: T,
    },
}
