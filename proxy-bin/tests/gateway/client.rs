//! A caller of HTTP/1.1, by hand.

use std::net::SocketAddr;
use std::time::Duration;

use testkit::peer::RawClient;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The only value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} twice: {self:?}");
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    /// The error, after its status and kind.
    pub(crate) fn error(&self, status: u16, kind: &str) -> serde_json::Value {
        assert_eq!(self.status, status, "{}", self.text());
        let error = self.json()["error"].take();
        assert_eq!(error["kind"], kind, "{error}");
        assert_eq!(error["request_id"].as_str(), self.header("x-request-id"), "{error}");
        error
    }
}

/// One connection.
pub(crate) struct Http {
    pub(crate) conn: RawClient,
}

impl Http {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        Self { conn: RawClient::connect(addr).patience(Duration::from_secs(5)) }
    }

    /// Sends a request, and reads its answer.
    pub(crate) fn ask(&mut self, line: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        self.send(line, headers, body);
        let answer = self.read();
        if line.starts_with("HEAD ") {
            unreachable!("read_head is for these")
        }
        answer
    }

    /// As JSON.
    pub(crate) fn post(&mut self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.ask(&format!("POST {path}"), &[("content-type", "application/json")], body)
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[], "")
    }

    /// Sends a request.
    pub(crate) fn send(&mut self, line: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) {
        self.conn.send(request(line, headers, body));
    }

    /// Reads an answer.
    pub(crate) fn read(&mut self) -> Answer {
        let mut answer = self.read_head();
        if answer.status == 100 {
            answer = self.read_head();
        }
        let len = answer.header("content-length").map_or(0, |len| len.parse().unwrap());
        answer.body = self.conn.read_exact(len);
        answer
    }

    /// Reads the head of an answer.
    pub(crate) fn read_head(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.conn.read_exact(1));
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap()).map(|(name, value)| (name.into(), value.into()));
        Answer { status, headers: headers.collect(), body: Vec::new() }
    }
}

/// The bytes of a request.
pub(crate) fn request(line: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut head = format!("{line} HTTP/1.1\r\nhost: shop.test\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    [format!("{head}\r\n").as_bytes(), body].concat()
}

/// One request on a connection of its own.
pub(crate) fn post(addr: SocketAddr, path: &str, body: impl AsRef<[u8]>) -> Answer {
    Http::connect(addr).post(path, body)
}

/// One request on a connection of its own.
pub(crate) fn get(addr: SocketAddr, path: &str) -> Answer {
    Http::connect(addr).get(path)
}
