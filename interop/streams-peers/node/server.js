'use strict';
// grpc-js as a server of LiveP: does what the script in the first request message says.
//
//   peer server --listen 127.0.0.1:0
const { grpc, LiveP, LIMITS, STRING_VALUE, types, blob, xMetadata, option } = require('./wire');

const HANG_MS = 20000;

/** Thrown out of a handler whose call was cancelled, reset or lost. */
class Gone extends Error {}

/** One call: its script, and how much of the request has been read. */
class Call {
  constructor(method, call, callback) {
    this.method = method;
    this.call = call;
    this.callback = callback; // of the methods that answer once
    this.script = {};
    this.readCount = 0;
    this.replied = false;
    this.headersSent = false;
    this.answer = null;
    this.hung = false;
    this.gone = new Promise((_, reject) => call.once('cancelled', () => reject(new Gone())));
    this.gone.catch(() => {});
    if (call.request) {
      let request = call.request;
      this.next = async () => {
        const value = request;
        request = undefined;
        return { value, done: value === undefined };
      };
    } else {
      // Leaving the iterator must not destroy the call, which is still to be answered.
      const messages = call.iterator({ destroyOnReturn: false });
      this.next = () => messages.next();
    }
  }

  async run(serve) {
    try {
      await serve(this);
      this.observe(false);
    } catch (err) {
      if (!this.call.cancelled) throw err;
      const late = Number(this.call.getDeadline()) <= Date.now();
      this.observe(true, late ? 4 : 1);
    }
  }

  observe(cancelled, code) {
    if (!this.script.observe) return;
    const seen = { case: this.script.case, method: this.method, cancelled };
    if (cancelled) Object.assign(seen, { code, text: '' });
    seen.messages = this.readCount;
    console.log('OBS ' + JSON.stringify(seen));
  }

  unlessGone(promise) {
    return Promise.race([promise, this.gone]);
  }

  sleep(ms) {
    return this.unlessGone(new Promise((resolve) => setTimeout(resolve, ms).unref()));
  }

  /** The next request message, or null at the half close. */
  async read() {
    const { value, done } = await this.unlessGone(this.next());
    if (done) {
      // A stream ends alike for a half close and for a reset; `cancelled` comes a moment later.
      if (this.script.observe) await this.sleep(100);
      return null;
    }
    this.readCount++;
    if (this.readCount === 1) await this.start(value);
    return value;
  }

  async start(first) {
    if (first.text.startsWith('{')) {
      try {
        this.script = JSON.parse(first.text);
      } catch {
        // not a script
      }
    }
    if (this.script.flush) {
      this.sendHeaders();
      await this.pause();
    }
  }

  sendHeaders() {
    if (this.headersSent) return;
    this.headersSent = true;
    if (this.script.headers || this.script.flush) this.call.sendMetadata(metadataOf(this.script.headers));
  }

  async pause() {
    if (this.script.pause_ms) await this.sleep(this.script.pause_ms);
  }

  async reply(text = '', payload = Buffer.alloc(0), n = 0) {
    if (this.replied) await this.pause();
    else if (this.script.tell) text = this.whatWasSeen();
    if (this.script.size !== undefined) payload = blob(this.script.size);
    this.replied = true;
    this.sendHeaders();
    const message = { text, blob: payload, n };
    if (this.callback) this.answer = message;
    else await this.unlessGone(new Promise((resolve) => this.call.write(message, resolve)));
  }

  async replies(count) {
    for (let n = 0; n < count; n++) await this.reply('', undefined, n);
  }

  whatWasSeen() {
    const deadline = Number(this.call.getDeadline());
    return JSON.stringify({
      meta: xMetadata(this.call.metadata),
      authority: this.call.getHost(),
      path: this.call.getPath(),
      deadline_ms: Number.isFinite(deadline) ? deadline - Date.now() : null,
    });
  }

  get endKind() {
    return this.script.end?.kind ?? 'ok';
  }

  async hang() {
    if (this.endKind !== 'hang' || this.hung) return;
    this.hung = true;
    await this.sleep(HANG_MS);
  }

  async answerOnce(...reply) {
    await this.hang();
    if (['ok', 'hang'].includes(this.endKind)) await this.reply(...reply);
  }

  async end() {
    await this.hang();
    const { code, message = '', details } = this.script.end ?? {};
    const kind = this.endKind;
    this.sendHeaders();
    const trailers = metadataOf(this.script.trailers);
    if (kind === 'error') this.fail(new Error(message));
    else if (kind === 'status') {
      if (details) trailers.set('grpc-status-details-bin', detailsOf(code, message));
      this.fail({ code, details: message, metadata: trailers });
    } else if (kind !== 'ok' && kind !== 'hang') {
      this.fail({ code: grpc.status.UNKNOWN, details: `${kind}: ${message}`, metadata: trailers });
    } else if (this.callback) this.callback(null, this.answer ?? {}, trailers);
    else this.call.end(trailers);
  }

  fail(error) {
    if (this.callback) this.callback(error);
    else this.call.emit('error', error);
  }
}

const methods = {
  async Ask(call) {
    const request = await call.read();
    await call.answerOnce(request.text, request.blob, request.n);
    await call.end();
  },

  async Upload(call) {
    let total = 0;
    for (let message; (message = await call.read()); ) {
      total += message.n;
      if (call.readCount === call.script.early) break;
    }
    await call.answerOnce(String(call.readCount), undefined, total);
    await call.end();
  },

  async Download(call) {
    await call.read();
    await call.replies(call.script.replies ?? 3);
    await call.end();
  },

  async Chat(call) {
    for (let message; (message = await call.read()); ) {
      if (!call.script.replies) await call.reply(message.text, message.blob, message.n);
      if (call.readCount === call.script.early) return call.end();
    }
    await call.replies(call.script.replies ?? 0);
    await call.end();
  },
};

/** Script metadata as grpc-js takes it; the value of a `-bin` key is its text as bytes. */
function metadataOf(mapping) {
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(mapping ?? {})) {
    metadata.add(key, key.endsWith('-bin') ? Buffer.from(value) : value);
  }
  return metadata;
}

function detailsOf(code, message) {
  const value = types.lookupType('StringValue').encode({ value: 'detail-text' }).finish();
  const details = [{ typeUrl: STRING_VALUE, value }];
  return Buffer.from(types.lookupType('Status').encode({ code, message, details }).finish());
}

const server = new grpc.Server(LIMITS);
const serveOne = (method) => (call, callback) => {
  new Call(method, call, callback).run(methods[method]).catch((err) => {
    console.error(err);
    process.exit(1);
  });
};
server.addService(LiveP.service, Object.fromEntries(Object.keys(methods).map((m) => [m, serveOne(m)])));

const listen = option('listen', '127.0.0.1:0');
server.bindAsync(listen, grpc.ServerCredentials.createInsecure(), (err, port) => {
  if (err) throw err;
  console.log(`LISTENING ${listen.slice(0, listen.lastIndexOf(':'))}:${port}`);
});
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
process.stdin.on('end', () => process.exit(0)).resume();
