/** A body that no route should take for a good one, with the headers it is sent under. */
export type HostileBody = {
  readonly name: string;
  readonly contentType: string | undefined;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
};

const json = 'application/json';

/** Texts that break parsers, paths and statements; percent-encoded where a path or query needs it. */
export const hostilePathTexts: readonly string[] = [
  '%00',
  'a%00b',
  '%FF%FE',
  '%C0%80',
  '%ED%A0%80',
  '..%2F..%2Fetc%2Fpasswd',
  '%2e%2e',
  "'%20or%201=1--",
  '%F0%9F%94%A5',
  '-1',
  '0',
  'null',
  'undefined',
  '__proto__',
  '00000000-0000-0000-0000-00000000000g',
  'x'.repeat(300),
  'x'.repeat(9_000),
];

/** JSON values of wrong types and sizes, to stand in for any field. */
export const hostileJsonValues: readonly unknown[] = [
  null,
  true,
  -1,
  1.5,
  1e308,
  2 ** 53 + 2,
  '',
  'x'.repeat(100_000),
  'a\u0000b',
  '\u202e\ud83d\ude00',
  [],
  [[]],
  [null],
  {},
  { $ne: null },
  { toString: 1, constructor: {} },
];

/** Bodies that are wrong as a whole, for a route that takes JSON of at most `maxBytes`. */
export function hostileBodies(maxBytes: number): readonly HostileBody[] {
  const asJson = (name: string, body: string | Uint8Array): HostileBody => ({ name, contentType: json, body });
  const nested = (depth: number) => `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`;
  return [
    asJson('null', 'null'),
    asJson('an array', '[]'),
    asJson('a string', '"x"'),
    asJson('a number', '12'),
    asJson('true', 'true'),
    asJson('half an object', '{"a":'),
    asJson('text after the end', '{} {}'),
    asJson('a trailing comma', '{"a":1,}'),
    asJson('not a number', '{"a":NaN}'),
    asJson('a comment', '/* */ {}'),
    asJson('a single quote', "{'a':1}"),
    asJson('bytes that are no UTF-8', Uint8Array.of(0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d)),
    asJson('UTF-16', Uint8Array.of(0x7b, 0, 0x7d, 0)),
    asJson('nested 40 deep', nested(40)),
    asJson('nested 50,000 deep', nested(50_000)),
    asJson('nested without an end', '['.repeat(100_000)),
    asJson('larger than allowed', JSON.stringify({ a: 'x'.repeat(maxBytes) })),
    asJson('a NUL in a name', '{"a\\u0000":1}'),
    asJson('half a surrogate pair', '{"a":"\\ud800"}'),
    asJson('a prototype', '{"__proto__":{"admin":true}}'),
    { name: 'plain text', contentType: 'text/plain', body: '{}' },
    { name: 'XML', contentType: 'application/xml', body: '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>' },
    { name: 'a multipart form', contentType: 'multipart/form-data; boundary=x', body: '--x\r\n\r\n--x--' },
    { name: 'no type', contentType: undefined, body: '{}' },
    { name: 'a broken type', contentType: ';;;', body: '{}' },
    { name: 'another charset', contentType: 'application/json; charset=utf-16', body: '{}' },
    { name: 'compressed', contentType: json, body: '{}', headers: { 'content-encoding': 'gzip' } },
  ];
}
