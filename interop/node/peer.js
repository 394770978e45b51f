'use strict';
// Apache Thrift's Node library as a peer of the matrix.
//
//   node peer.js server --transport framed            prints `LISTEN <addr>`, then `SEEN <method>` per call
//   node peer.js client --transport framed --addr A   prints one JSON object: what each case gave
const zlib = require('zlib');
const thrift = require('thrift');
const { Client, Processor, Declared, Int64 } = require('./echo');

const option = (name, otherwise) => {
  const i = process.argv.indexOf('--' + name);
  return i < 0 ? otherwise : process.argv[i + 1];
};
const transport = { framed: thrift.TFramedTransport, buffered: thrift.TBufferedTransport }[option('transport', 'framed')];
const options = { transport, protocol: thrift.TBinaryProtocol };
const { Thrift } = thrift;

const same = (v) => v;
const handler = {
  echo(msg) {
    if (msg === 'throw') throw new Declared('err', { message: 'mock exception' });
    return msg;
  },
  ping() {},
  echoMany: (a, b, c, d) => `${a} ${b} ${c.map(String)} ${d.name}/${d.number}`,
  nothing() {},
  nothingWith() {},
  slow: (millis, msg) => new Promise((resolve) => setTimeout(() => resolve(msg), millis)),
  big: (pad, size) => (pad.length >= size ? pad.subarray(0, size) : Buffer.alloc(size, pad)),
  declared(which) {
    if (which === 0) return 'nothing thrown';
    if (which === 1) throw new Declared('err', { message: 'declared at id 1' });
    throw new Declared('other', { code: which, detail: { name: 'declared at id 5', number: 5 } });
  },
  declaredVoid(which) {
    if (which !== 0) throw new Declared('err', { message: 'declared by a void method' });
  },
  fail(text, code) {
    throw new Thrift.TApplicationException(code || 6, text);
  },
  panics(text) {
    throw new Error(text);
  },
  whoami: () => 'EchoService',
};
for (const name of ['Bool', 'Byte', 'I16', 'I32', 'I64', 'Double', 'String', 'Binary', 'Enum', 'List', 'Set', 'Map', 'Union', 'Everything']) {
  handler['echo' + name] = same;
}

function serve() {
  const noted = Object.fromEntries(Object.entries(handler).map(([name, f]) => [name, (...args) => {
    console.log('SEEN ' + name);
    return f(...args);
  }]));
  const server = thrift.createServer(Processor, noted, options);
  server.on('error', (err) => console.error(err.message));
  server.listen(0, '127.0.0.1', () => console.log('LISTEN 127.0.0.1:' + server.address().port));
}

function show(v) {
  if (v === undefined) return null;
  if (v instanceof Int64) return 'i64 ' + v.toOctetString();
  if (Buffer.isBuffer(v)) return v.length < 64 ? v.toString('hex') : `${v.length} bytes, crc ${crc(v)}`;
  if (typeof v === 'number' && !Number.isFinite(v)) return String(v);
  if (typeof v === 'string' && v.length > 200) return `${v.length} characters`;
  if (v instanceof Map) return [...v].map(([k, x]) => [show(k), show(x)]).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (Array.isArray(v)) return v.map(show);
  if (v !== null && typeof v === 'object') {
    return Object.fromEntries(Object.keys(v).sort().map((k) => [k, show(v[k])]));
  }
  return v;
}

// zlib of this Node has no crc32; the last bytes of a gzip stream are it.
const crc = (bytes) => {
  const packed = zlib.gzipSync(bytes, { level: 0 });
  return packed.readUInt32LE(packed.length - 8).toString(16);
};

async function call() {
  const [host, port] = option('addr').split(':');
  const out = {};
  const connect = () => new Promise((resolve, reject) => {
    const connection = thrift.createConnection(host, Number(port), { ...options, timeout: 5000 });
    connection.on('connect', () => resolve({ connection, client: thrift.createClient({ Client }, connection) }));
    connection.on('error', reject);
  });
  // Each call has a connection of its own: after an EXCEPTION a Kitex server closes.
  const note = async (name, use) => {
    try {
      const { connection, client } = await connect();
      const patience = new Promise((_, reject) => {
        const timer = setTimeout(() => reject(new Error('no answer in 5 s')), 5000);
        timer.unref();
        connection.on('close', () => reject(new Error('closed without an answer')));
      });
      patience.catch(() => {});
      try {
        out[name] = { ok: show(await Promise.race([use(client), patience])) };
      } finally {
        connection.end();
      }
    } catch (err) {
      if (err instanceof Declared) out[name] = { declared: [err.field, show(err.value)] };
      else if (err instanceof Thrift.TApplicationException) out[name] = { application: [err.type, err.message] };
      else out[name] = { broken: String(err.message) };
    }
  };

  const inner = { name: 'inner', number: 10 };
  const blob = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  await note('bool true', (c) => c.echoBool(true));
  await note('bool false', (c) => c.echoBool(false));
  await note('byte', (c) => c.echoByte(-128));
  await note('i16', (c) => c.echoI16(-32768));
  await note('i32', (c) => c.echoI32(2147483647));
  await note('i64', (c) => c.echoI64(new Int64('8000000000000001')));
  for (const v of [1.5, Infinity, NaN]) await note('double ' + v, (c) => c.echoDouble(v));
  for (const v of ['', 'hi', 'ünïcode ✓', 'x'.repeat(20000)]) await note('string ' + v.length, (c) => c.echoString(v));
  await note('binary', (c) => c.echoBinary(blob));
  await note('enum', (c) => c.echoEnum(7));
  await note('list', (c) => c.echoList(['a', '', 'c']));
  await note('set', (c) => c.echoSet([new Int64(1), new Int64(-2)]));
  await note('map', (c) => c.echoMap(new Map([['one', inner], ['', {}]])));
  await note('union', (c) => c.echoUnion({ text: 'chosen' }));
  await note('everything', (c) => c.echoEverything({
    flag: true, tiny: -1, small: 2, medium: -3, large: new Int64(4), real: 5.5, text: 'six', blob: Buffer.from([7, 0, 255]),
    colour: 1, inner, words: ['x', '', 'y'], numbers: [new Int64(12)], named: new Map([['k', inner]]),
    nested: [new Map([[1, [inner]], [2, []]]), new Map()], choice: { number: new Int64(7) }, flags: [true, false],
    reals: new Map([[new Int64(18), 1.25]]),
  }));
  await note('many', (c) => c.echoMany('a', 2, [new Int64(3), new Int64(4)], inner));
  await note('void', (c) => c.nothing());
  await note('void with argument', (c) => c.nothingWith('v'));
  for (const which of [0, 1, 7]) await note('declared ' + which, (c) => c.declared(which));
  await note('declared void', (c) => c.declaredVoid(1));
  await note('handler error', (c) => c.fail('boom', 0));
  await note('handler error with a code', (c) => c.fail('coded', 7777));
  await note('panic', (c) => c.panics('oh no'));
  await note('unknown method', (c) => c.nope('hi'));
  await note('large', (c) => c.big(Buffer.alloc(1 << 20, 0xa5), 1 << 20));
  await note('oneway', async (c) => {
    for (let i = 0; i < 3; i++) await c.ping('token ' + i);
    return c.echo('after');
  });
  await note('one connection', async (c) => {
    const lengths = [];
    for (let i = 0; i < 50; i++) lengths.push((await c.echo('x'.repeat(i))).length);
    return lengths;
  });
  // Node's client writes on without waiting: pipelined calls on one connection.
  await note('50 pipelined', (c) => Promise.all(Array.from({ length: 50 }, (_, i) => c.echo('call ' + i))));
  process.stdout.write(JSON.stringify(out), () => process.exit(0));
}

if (process.argv[2] === 'server') serve();
else call().catch((err) => {
  console.error(err);
  process.exit(1);
});
