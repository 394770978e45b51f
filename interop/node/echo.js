'use strict';
// EchoService for Apache Thrift's Node library: structs and methods described in a table, with the
// `read`, `write`, `recv_x` and `process_x` that its connections and servers expect of generated code.
const thrift = require('thrift');
const { Thrift, Int64 } = thrift;
const T = Thrift.Type;

const basic = (type, name) => ({ type, read: (p) => p['read' + name](), write: (p, v) => p['write' + name](v) });
const bool = basic(T.BOOL, 'Bool');
const i8 = basic(T.BYTE, 'Byte');
const i16 = basic(T.I16, 'I16');
const i32 = basic(T.I32, 'I32');
const double = basic(T.DOUBLE, 'Double');
const string = basic(T.STRING, 'String');
const binary = { type: T.STRING, read: (p) => p.readBinary(), write: (p, v) => p.writeBinary(v) };
const i64 = { type: T.I64, read: (p) => p.readI64(), write: (p, v) => p.writeI64(v) };

function sequence(type, kind, element) {
  return {
    type,
    read(p) {
      const { size } = p['read' + kind + 'Begin']();
      const out = [];
      for (let i = 0; i < size; i++) out.push(element.read(p));
      p['read' + kind + 'End']();
      return out;
    },
    write(p, values) {
      p['write' + kind + 'Begin'](element.type, values.length);
      for (const v of values) element.write(p, v);
      p['write' + kind + 'End']();
    },
  };
}
const list = (element) => sequence(T.LIST, 'List', element);
const set = (element) => sequence(T.SET, 'Set', element);
const map = (key, value) => ({
  type: T.MAP,
  read(p) {
    const { size } = p.readMapBegin();
    const out = new Map();
    for (let i = 0; i < size; i++) out.set(key.read(p), value.read(p));
    p.readMapEnd();
    return out;
  },
  write(p, pairs) {
    p.writeMapBegin(key.type, value.type, pairs.size);
    for (const [k, v] of pairs) {
      key.write(p, k);
      value.write(p, v);
    }
    p.writeMapEnd();
  },
});
// struct takes rows of [id, name, type].
const struct = (name, rows) => ({
  type: T.STRUCT,
  read(p) {
    const out = {};
    p.readStructBegin();
    for (;;) {
      const { ftype, fid } = p.readFieldBegin();
      if (ftype === T.STOP) break;
      const row = rows.find(([id, , type]) => id === fid && type.type === ftype);
      if (row) out[row[1]] = row[2].read(p);
      else p.skip(ftype);
      p.readFieldEnd();
    }
    p.readStructEnd();
    return out;
  },
  write(p, value) {
    p.writeStructBegin(name);
    for (const [id, field, type] of rows) {
      if (value[field] === undefined || value[field] === null) continue;
      p.writeFieldBegin(field, type.type, id);
      type.write(p, value[field]);
      p.writeFieldEnd();
    }
    p.writeFieldStop();
    p.writeStructEnd();
  },
});

const Inner = struct('Inner', [[1, 'name', string], [2, 'number', i32]]);
const Choice = struct('Choice', [[1, 'number', i64], [2, 'text', string]]);
const Everything = struct('Everything', [
  [1, 'flag', bool], [2, 'tiny', i8], [3, 'small', i16], [4, 'medium', i32], [5, 'large', i64], [6, 'real', double],
  [7, 'text', string], [8, 'blob', binary], [9, 'colour', i32], [10, 'inner', Inner], [11, 'words', list(string)],
  [12, 'numbers', set(i64)], [13, 'named', map(string, Inner)], [14, 'nested', list(map(i32, list(Inner)))],
  [15, 'choice', Choice], [16, 'absent', string], [17, 'flags', list(bool)], [18, 'reals', map(i64, double)],
]);
const EchoError = struct('EchoError', [[1, 'message', string]]);
const OtherError = struct('OtherError', [[1, 'code', i32], [2, 'detail', Inner]]);

// A declared exception as a handler throws it and a caller gets it.
class Declared extends Error {
  constructor(field, value) {
    super(field);
    this.field = field;
    this.value = value;
  }
}

const echoOf = (type) => ({ args: [[1, 'v', type]], success: type });
const methods = {
  echo: { args: [[1, 'msg', string]], success: string, throws: [[1, 'err', EchoError]] },
  ping: { args: [[1, 'msg', string]], oneway: true },
  echoBool: echoOf(bool),
  echoByte: echoOf(i8),
  echoI16: echoOf(i16),
  echoI32: echoOf(i32),
  echoI64: echoOf(i64),
  echoDouble: echoOf(double),
  echoString: echoOf(string),
  echoBinary: echoOf(binary),
  echoEnum: echoOf(i32),
  echoList: echoOf(list(string)),
  echoSet: echoOf(set(i64)),
  echoMap: echoOf(map(string, Inner)),
  echoUnion: echoOf(Choice),
  echoEverything: echoOf(Everything),
  echoMany: { args: [[1, 'a', string], [2, 'b', i32], [7, 'c', list(i64)], [3, 'd', Inner]], success: string },
  nothing: { args: [] },
  nothingWith: { args: [[1, 'v', string]] },
  slow: { args: [[1, 'millis', i32], [2, 'msg', string]], success: string },
  big: { args: [[1, 'pad', binary], [2, 'size', i32]], success: binary },
  declared: { args: [[1, 'which', i32]], success: string, throws: [[1, 'err', EchoError], [5, 'other', OtherError]] },
  declaredVoid: { args: [[1, 'which', i32]], throws: [[1, 'err', EchoError]] },
  fail: { args: [[1, 'text', string], [2, 'code', i32]], success: string },
  panics: { args: [[1, 'text', string]], success: string },
  whoami: { args: [], success: string },
  nope: { args: [[1, 'msg', string]], success: string, caller: true },
};

class Client {
  constructor(output, pClass) {
    this.output = output;
    this.pClass = pClass;
    this._seqid = 0;
    this._reqs = {};
  }
  seqid() {
    return this._seqid;
  }
  new_seqid() {
    return ++this._seqid;
  }
}

function Processor(handler) {
  this._handler = handler;
}
Processor.prototype.process = function (input, output) {
  const head = input.readMessageBegin();
  const serve = this['process_' + head.fname];
  if (serve) return serve.call(this, head.rseqid, input, output);
  input.skip(T.STRUCT);
  input.readMessageEnd();
  const err = new Thrift.TApplicationException(
    Thrift.TApplicationExceptionType.UNKNOWN_METHOD, 'Unknown function ' + head.fname);
  return reply(output, head.fname, Thrift.MessageType.EXCEPTION, head.rseqid, () => err.write(output));
};

function reply(output, name, type, seqid, body) {
  output.writeMessageBegin(name, type, seqid);
  body();
  output.writeMessageEnd();
  output.flush();
}

for (const [name, m] of Object.entries(methods)) {
  const args = struct(name + '_args', m.args);
  const result = struct(name + '_result', [...(m.success ? [[0, 'success', m.success]] : []), ...(m.throws || [])]);

  Client.prototype[name] = function (...values) {
    const seqid = this.new_seqid();
    return new Promise((resolve, reject) => {
      if (!m.oneway) this._reqs[seqid] = (err, value) => (err ? reject(err) : resolve(value));
      const output = new this.pClass(this.output);
      output.writeMessageBegin(name, m.oneway ? Thrift.MessageType.ONEWAY : Thrift.MessageType.CALL, seqid);
      args.write(output, Object.fromEntries(m.args.map(([, field], i) => [field, values[i]])));
      output.writeMessageEnd();
      this.output.flush();
      if (m.oneway) resolve();
    });
  };
  Client.prototype['recv_' + name] = function (input, mtype, rseqid) {
    const callback = this._reqs[rseqid] || (() => {});
    delete this._reqs[rseqid];
    if (mtype === Thrift.MessageType.EXCEPTION) {
      const err = new Thrift.TApplicationException();
      err.read(input);
      input.readMessageEnd();
      return callback(err);
    }
    const got = result.read(input);
    input.readMessageEnd();
    const thrown = (m.throws || []).find(([, field]) => got[field] !== undefined);
    if (thrown) return callback(new Declared(thrown[1], got[thrown[1]]));
    if (m.success && got.success === undefined) return callback(new Error(name + ' failed: unknown result'));
    return callback(null, got.success);
  };
  if (m.caller) continue;
  // Reading is synchronous: that input ran short must be thrown to the server, which waits for more.
  Processor.prototype['process_' + name] = function (seqid, input, output) {
    const got = args.read(input);
    input.readMessageEnd();
    serve.call(this, got, seqid, output);
  };
  async function serve(got, seqid, output) {
    let answer = {};
    try {
      answer.success = await this._handler[name](...m.args.map(([, field]) => got[field]));
    } catch (err) {
      if (!(err instanceof Declared)) {
        if (m.oneway) return;
        const app = err instanceof Thrift.TApplicationException ? err
          : new Thrift.TApplicationException(Thrift.TApplicationExceptionType.INTERNAL_ERROR, err.message);
        reply(output, name, Thrift.MessageType.EXCEPTION, seqid, () => app.write(output));
        return;
      }
      answer = { [err.field]: err.value };
    }
    if (!m.oneway) reply(output, name, Thrift.MessageType.REPLY, seqid, () => result.write(output, answer));
  }
}

module.exports = { Client, Processor, Declared, Int64 };
