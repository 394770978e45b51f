//! HTTP/2 frames (RFC 9113 sections 4 and 6).
