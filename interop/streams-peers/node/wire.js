'use strict';
// What the server and the client share: messages, blobs, metadata, details, the limits that are raised.
const path = require('path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const protobuf = require('protobufjs');

const loaded = loader.loadSync(path.join(__dirname, '..', '..', 'idl', 'live.proto'), { defaults: true });
const { LiveP } = grpc.loadPackageDefinition(loaded).acme.wire.livep;

// google.rpc.Status and what stands in it; grpc-js knows nothing of it.
const types = protobuf.parse(`
  syntax = "proto3";
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message Any { string type_url = 1; bytes value = 2; }
  message StringValue { string value = 1; }
`).root;
const STRING_VALUE = 'type.googleapis.com/google.protobuf.StringValue';

// 64 MiB messages go both ways; grpc-js's own limit is 4 MiB for what is received.
const LIMITS = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };

const PERIOD = Buffer.from(Array.from({ length: 256 }, (_, i) => (i * 31 + 7) & 0xff));
const blob = (size) => Buffer.alloc(size, PERIOD);

/** The `x-` keys with all their values; those of `-bin` keys in base64. */
function xMetadata(metadata) {
  const seen = {};
  const all = metadata ? metadata.toJSON() : {};
  // By key, as the order of different keys means nothing; the values of one key keep theirs.
  for (const key of Object.keys(all).sort()) {
    if (key.startsWith('x-')) seen[key] = all[key].map((v) => (Buffer.isBuffer(v) ? v.toString('base64') : v));
  }
  return seen;
}

function option(name, otherwise) {
  const i = process.argv.indexOf('--' + name);
  return i < 0 ? otherwise : process.argv[i + 1];
}

module.exports = { grpc, LiveP, LIMITS, STRING_VALUE, types, blob, xMetadata, option };
