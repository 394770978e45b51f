use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The path of a file beside the tests.
pub(crate) fn testdata(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/call/testdata").join(name);
    path.to_str().unwrap().to_owned()
}

/// A running `proxy-bin call`.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    /// Starts it with the Thrift IDL.
    pub(crate) fn start(arguments: &[&str], addr: SocketAddr) -> Self {
        Self::start_with(&[&["--idl", &testdata("shop.thrift")], arguments, &[&addr.to_string()]].concat())
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_proxy-bin"))
            .arg("call")
            .args(arguments)
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout }
    }

    /// Writes to its standard input.
    pub(crate) fn write(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Reads a line that it prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Closes its standard input.
    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end; standard input stays as it is.
    pub(crate) fn end(mut self) -> Ended {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let code = self.child.wait().unwrap().code().unwrap();
        Ended { code, stdout, stderr }
    }
}

/// Calls with the Thrift IDL.
pub(crate) fn call(arguments: &[&str], addr: SocketAddr) -> Ended {
    Running::start(arguments, addr).end()
}

/// Runs the command with these arguments alone.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    Running::start_with(arguments).end()
}

/// An `Item` with this name, as bytes, with every field that is not optional.
pub(crate) fn item(name: &str) -> Vec<u8> {
    let mut bytes = vec![0x0b, 0, 1];
    bytes.extend(u32::try_from(name.len()).unwrap().to_be_bytes());
    bytes.extend(name.as_bytes());
    bytes.extend([0x0f, 0, 3, 0x0b, 0, 0, 0, 0]);
    bytes.extend([0x0d, 0, 6, 0x0b, 0x0c, 0, 0, 0, 0]);
    bytes.push(0);
    bytes
}

/// A struct with one field, a struct.
pub(crate) fn wrapped(id: u8, inner: &[u8]) -> Vec<u8> {
    [&[0x0c, 0, id], inner, &[0]].concat()
}

/// An `Item` with this name, as it is printed with `--compact`.
pub(crate) fn printed(name: &str) -> String {
    format!(r#"{{"name":"{name}","tags":[],"stock":{{}},"price":3}}"#)
}
