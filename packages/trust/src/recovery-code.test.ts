import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRandom } from '@holdfast/base';
import fc from 'fast-check';
import { makeRecoveryCode, parseRecoveryCode } from './recovery-code.ts';

/** The 256-bit English vectors of BIP-39, those whose entropy is a repeated byte. */
const published: readonly (readonly [number, string])[] = [
  [0x00, `${'abandon '.repeat(23)}art`],
  [
    0x7f,
    'legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth title',
  ],
  [
    0x80,
    'letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic bless',
  ],
  [0xff, `${'zoo '.repeat(23)}vote`],
];

test('the published secrets have the published words', () => {
  for (const [byte, words] of published) {
    const secret = new Uint8Array(32).fill(byte);
    assert.equal(
      makeRecoveryCode(() => secret.slice()),
      words,
    );
    assert.deepEqual(parseRecoveryCode(words), secret);
  }
});

test('a code typed in capitals, with numbers, commas or on many lines is the same code', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (secret) => {
      const code = makeRecoveryCode(() => new Uint8Array(secret));
      const words = code.split(' ');
      for (const typed of [
        code,
        code.toUpperCase(),
        `  ${words.join('\r\n\t ')}\n`,
        words.map((word, index) => `${index + 1}. ${word}`).join('\n'),
        words.map((word, index) => `${index + 1}) ${word}`).join(', '),
        words.join('\u00a0'),
      ])
        assert.deepEqual(parseRecoveryCode(typed), new Uint8Array(secret));
    }),
    { numRuns: 30 },
  );
});

test('a mistyped code is refused by what is wrong with it, without repeating a word of it', () => {
  const words = makeRecoveryCode(systemRandom).split(' ');
  const refusals: readonly (readonly [readonly string[], string, object])[] = [
    [words.slice(1), 'recovery_code.wrong_length', { words: 23 }],
    [[...words, 'zoo'], 'recovery_code.wrong_length', { words: 25 }],
    [[], 'recovery_code.wrong_length', { words: 0 }],
    [words.with(6, 'holdfastly'), 'recovery_code.unknown_word', { position: 7, positions: [7] }],
    [words.with(23, 'zooo').with(0, '\u0430bandon'), 'recovery_code.unknown_word', { position: 1, positions: [1, 24] }],
  ];
  for (const [typed, code, details] of refusals)
    assert.throws(
      () => parseRecoveryCode(typed.join(' ')),
      (error: { code: string; details: object }) => {
        assert.equal(error.code, code);
        assert.deepEqual(error.details, details);
        return true;
      },
    );
});

test('two words out of order are noticed by the checksum', () => {
  const code = published[2]![1];
  const swapped = code.replace('letter advice', 'advice letter');
  assert.throws(() => parseRecoveryCode(swapped), { code: 'recovery_code.wrong_checksum' });
  assert.deepEqual(parseRecoveryCode(code), new Uint8Array(32).fill(0x80));
});
