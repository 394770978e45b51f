'use strict';
// grpc-js as a client of LiveP: runs cases of ../cases.json, one JSON line each.
//
//   peer client --target 127.0.0.1:PORT --cases a,b,c|all
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const { grpc, LiveP, LIMITS, STRING_VALUE, types, blob, xMetadata, option } = require('./wire');

const CASE_LIMIT_S = 30;
const EARLY_MS = 150;
const DEADLINE_SLACK_MS = 20;
const FIRST_TEXT_LIMIT = 4096;
const serialize = LiveP.service.Ask.requestSerialize;
const deserialize = LiveP.service.Ask.responseDeserialize;

/** What a caller got of one call. */
class Seen {
  constructor(spec) {
    this.spec = spec;
    this.hash = crypto.createHash('sha256');
    this.messages = 0;
    this.first = '';
    this.headers = {};
    this.trailers = {};
  }

  message({ text, blob, n }) {
    if (this.spec.report === 'deadline') {
      const remaining = JSON.parse(text).deadline_ms;
      // gRPC's core rounds a timeout up to hundredths of a second when it writes it.
      text = String(remaining !== null && remaining > 0 && remaining <= this.spec.deadline_ms + 10);
    }
    if (this.messages === 0) {
      this.first = text.slice(0, FIRST_TEXT_LIMIT);
      this.firstAt = performance.now();
    }
    this.messages++;
    this.hash.update(text).update('|').update(blob).update('|').update(String(n));
  }

  line(started) {
    const { spec, headersAt, firstAt, messages, first, headers, trailers, end } = this;
    return {
      case: spec.id,
      headers,
      early_headers: spec.script?.flush ? firstAt - headersAt >= EARLY_MS : null,
      messages,
      digest: this.hash.digest('hex'),
      first,
      trailers,
      end,
      ms: Math.round(performance.now() - started),
    };
  }
}

function end(kind, code, message, details = null) {
  // A client's own texts name ports.
  return { kind, code, message: message.replace(/127\.0\.0\.1:\d+/g, 'PEER'), details, extra: null };
}

/**
 * Whether a call ended by its deadline. It is chance whose clock is first, the caller's or the server's,
 * and some servers reset a late call or end it with CANCELLED; so all these ends are told as one.
 */
function late(spec, started, code) {
  const { CANCELLED, DEADLINE_EXCEEDED } = grpc.status;
  if (!spec.deadline_ms || ![CANCELLED, DEADLINE_EXCEEDED].includes(code)) return false;
  return performance.now() - started >= spec.deadline_ms - DEADLINE_SLACK_MS;
}

/** `detail-text` when it is what the contract asks for; any other bytes as they are. */
function toldDetails(code, message, trailers) {
  const raw = trailers?.get('grpc-status-details-bin')[0];
  if (!raw) return null;
  try {
    const status = types.lookupType('Status').decode(raw);
    const [detail] = status.details;
    if (status.code === code && status.message === message && status.details.length === 1 && detail.typeUrl === STRING_VALUE) {
      return types.lookupType('StringValue').decode(detail.value).value;
    }
  } catch {
    // shown raw
  }
  return 'raw:' + raw.toString('base64');
}

function* requests(spec, stream) {
  for (let i = 0; i < (spec.messages ?? 1); i++) {
    if (spec.empty) {
      yield {};
      continue;
    }
    let text = spec.streams ? `s${stream}m${i}` : `m${i}`;
    if (i === 0 && spec.script) text = JSON.stringify(spec.script);
    yield { text, blob: blob(spec.blob ?? 0), n: i + 1 };
  }
}

/** Runs one call to its status. `giveUp` is called with a function that abandons it. */
async function oneCall(client, spec, stream, giveUp) {
  const seen = new Seen(spec);
  const started = performance.now();
  const messages = requests(spec, stream);
  const answersOnce = spec.shape === 'unary' || spec.shape === 'upload';
  const sendsStream = spec.shape === 'upload' || spec.shape === 'chat';
  const metadata = new grpc.Metadata();
  for (const [key, value] of spec.metadata ?? []) {
    metadata.add(key, key.endsWith('-bin') ? Buffer.from(value, 'base64') : value);
  }
  const options = spec.deadline_ms ? { deadline: Date.now() + spec.deadline_ms } : {};
  const open = {
    unary: client.makeUnaryRequest,
    upload: client.makeClientStreamRequest,
    download: client.makeServerStreamRequest,
    chat: client.makeBidiStreamRequest,
  }[spec.shape];
  const args = [`/${spec.service ?? 'acme.wire.livep.LiveP'}/${spec.method}`, serialize, deserialize];
  if (!sendsStream) args.push(messages.next().value);
  args.push(metadata, options);
  if (answersOnce) args.push((err, message) => !err && seen.message(message));

  const call = open.apply(client, args);
  giveUp?.(() => call.cancel());
  let arrived = () => {};
  let over = false;
  call.on('metadata', (headers) => {
    seen.headersAt = performance.now();
    seen.headers = xMetadata(headers);
  });
  call.on('error', () => {}); // the status says it
  const ended = new Promise((resolve) => {
    call.on('status', (status) => {
      over = true;
      arrived();
      resolve(status);
    });
  });
  if (!answersOnce) {
    call.on('data', (message) => {
      if (call.wasCancelled) return;
      seen.message(message);
      if (seen.messages === spec.cancel_after_messages) {
        call.wasCancelled = true;
        call.cancel();
      }
      arrived();
    });
  }
  if (spec.cancel_after_ms) setTimeout(() => call.cancel(), spec.cancel_after_ms);
  if (sendsStream) {
    let sent = 0;
    for (const message of messages) {
      await Promise.race([new Promise((resolve) => call.write(message, resolve)), ended]);
      sent++;
      while (spec.drive === 'ping_pong' && seen.messages < sent && !over) {
        await new Promise((resolve) => (arrived = resolve));
      }
      if (over) break;
    }
    if ((spec.half_close ?? true) && !over) call.end();
  }

  let { code, details, metadata: trailers } = await ended;
  if (late(spec, started, code)) [code, details] = [grpc.status.DEADLINE_EXCEEDED, 'deadline exceeded'];
  if (!call.wasCancelled) seen.trailers = xMetadata(trailers);
  seen.end = end(code === 0 ? 'ok' : 'status', code, details, toldDetails(code, details, trailers));
  return seen;
}

/** All streams at once, added up: the digest is that of the digests, the end the first bad one. */
async function manyCalls(client, spec, giveUp) {
  const abandon = [];
  giveUp(() => abandon.forEach((f) => f()));
  const calls = await Promise.all(
    Array.from({ length: spec.streams }, (_, s) => oneCall(client, spec, s, (f) => abandon.push(f))),
  );
  const total = new Seen(spec);
  total.first = calls[0].first;
  total.end = (calls.find((call) => call.end.kind !== 'ok') ?? calls[0]).end;
  for (const call of calls) {
    total.messages += call.messages;
    total.hash.update(call.hash.digest('hex'));
  }
  return total;
}

async function runCase(openClient, plain, spec) {
  if (spec.skip) return { case: spec.id, skip: spec.skip };
  const started = performance.now();
  // Compression is a matter of the channel here, not of the call.
  const client = spec.gzip ? openClient({ 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip }) : plain;
  let abandon;
  let timer;
  const limit = new Promise((resolve) => {
    timer = setTimeout(() => {
      const seen = new Seen(spec);
      seen.end = end('error', null, `no end within ${CASE_LIMIT_S} s`);
      abandon?.();
      resolve(seen);
    }, CASE_LIMIT_S * 1000);
  });
  const giveUp = (f) => (abandon = f);
  const call = spec.streams ? manyCalls(client, spec, giveUp) : oneCall(client, spec, 0, giveUp);
  const seen = await Promise.race([call, limit]);
  clearTimeout(timer);
  if (client !== plain) client.close();
  return seen.line(started);
}

async function main() {
  if (option('codec', 'protobuf') !== 'protobuf' || option('transport', 'grpc') !== 'grpc') {
    throw new Error('this peer speaks protobuf over grpc');
  }
  const specs = JSON.parse(fs.readFileSync(path.join(__dirname, '..', 'cases.json'), 'utf8'));
  const known = new Map(specs.map((spec) => [spec.id, spec]));
  const cases = option('cases', 'all');
  const wanted = cases === 'all' ? [...known.keys()] : cases.split(',');

  // A fixed name, so that what a server tells of it does not depend on the port.
  const options = { ...LIMITS, 'grpc.default_authority': 'live.example' };
  const openClient = (more) => new grpc.Client(option('target'), grpc.credentials.createInsecure(), { ...options, ...more });
  const plain = openClient({});
  for (const name of wanted) {
    const spec = known.get(name) ?? { id: name, skip: 'no such case' };
    console.log(JSON.stringify(await runCase(openClient, plain, spec)));
  }
  plain.close();
}

main().catch((err) => {
  console.error(err);
  process.exit(1);
});
