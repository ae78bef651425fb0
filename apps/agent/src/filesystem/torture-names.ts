/** For tests: names that break programs. All are different byte strings that Linux takes. */
import { nameBytes } from './file-name.ts';

const texts: readonly string[] = [
  'plain.txt',
  'a b',
  ' leading space',
  'trailing space ',
  'trailing dot.',
  '...',
  '-rf',
  '--help',
  '~',
  '#comment#',
  'new\nline',
  '\n',
  'tab\tname',
  'carriage\rreturn',
  'bell\u0007 escape\u001b[31mred',
  'delete\u007f',
  "single'quote",
  'double"quote',
  '`back`tick',
  'back\\slash',
  'star*',
  'question?',
  '[brackets]',
  '{a,b}',
  '$(touch oops)',
  '$HOME',
  '%s%n%00',
  'semi;colon & more | pipe > out < in',
  'colon:name',
  'CON',
  'aux.txt',
  'case',
  'CASE',
  'Case',
  // The same letter, composed and decomposed.
  'caf\u00e9',
  'cafe\u0301',
  '\u{1f600}',
  '\u{1f469}\u200d\u{1f469}\u200d\u{1f467}',
  '\ufffd',
  '\u202egnp.exe',
  '\ufeffbyte order mark',
  '\u05e9\u05dc\u05d5\u05dd',
  '日本語',
  'n'.repeat(255),
  '\u{1f600}'.repeat(63) + 'abc',
  '__proto__',
  'constructor',
];

const raw: readonly (readonly number[])[] = [
  [0xff],
  [0xff, 0xfe, 0xfd],
  [0x80],
  [0x61, 0x80, 0x62],
  // An overlong slash, a surrogate, a code point past the last.
  [0xc0, 0xaf],
  [0xed, 0xa0, 0x80],
  [0xf5, 0x80, 0x80, 0x80],
  [0x63, 0x61, 0x66, 0xe9],
  Array.from({ length: 255 }, () => 0xfe),
];

/** As described above; 255 bytes at most. */
export const tortureNames: readonly Uint8Array[] = [
  ...texts.map(nameBytes),
  ...raw.map((name) => Uint8Array.from(name)),
];
