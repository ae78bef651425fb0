import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RecoverError } from '../errors.ts';
import { passwordParameters } from '../testing/write-slots.ts';
import { f } from '../testing/write-structures.ts';
import { readPasswordCost } from './password-slot.ts';
import { readCustomKey, readPassword } from './secret.ts';

const salt = Buffer.alloc(16, 7);

test('the parameters of a password slot read back within their bounds, and are refused one step beyond each', () => {
  const least = { memory: 19_456, passes: 1, lanes: 1 };
  const most = { memory: 1_048_576, passes: 10, lanes: 4 };
  const read = ({ memory, passes, lanes }: typeof least) =>
    readPasswordCost(passwordParameters(salt, [memory, passes, lanes]));
  for (const name of ['memory', 'passes', 'lanes'] as const) {
    for (const bound of [least, most]) {
      const beyond = { ...bound, [name]: bound[name] + (bound === least ? -1 : 1) };
      assert.throws(() => read(beyond), { code: 'structure.corrupt' }, JSON.stringify(beyond));
      const { memory, passes, lanes } = bound;
      assert.deepEqual(read(bound), { salt, memoryKibibytes: memory, passes, lanes });
    }
  }
  const later = Buffer.concat([passwordParameters(salt, [19_456, 1, 1]), f('5', 1)]);
  assert.equal(readPasswordCost(later).passes, 1);
});

test('parameters of any bytes are read within the bounds or called corrupt', () => {
  const number = fc.oneof(fc.nat(2_000_000), fc.nat(12), fc.maxSafeNat());
  const written = fc
    .tuple(fc.uint8Array({ minLength: 15, maxLength: 17 }), fc.tuple(number, number, number))
    .map(([bytes, cost]) => passwordParameters(Buffer.from(bytes), cost));
  const noise = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(noise, written), (bytes) => {
      try {
        const { memoryKibibytes, passes, lanes } = readPasswordCost(bytes);
        assert.ok(memoryKibibytes >= 19_456 && memoryKibibytes <= 1_048_576);
        assert.ok(passes >= 1 && passes <= 10 && lanes >= 1 && lanes <= 4);
      } catch (error) {
        assert.ok(error instanceof RecoverError && error.code === 'structure.corrupt', String(error));
      }
    }),
    { numRuns: 1_000 },
  );
});

test('any key of 32 bytes reads back from both spellings, and any other text is no key', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const key = Buffer.from(bytes);
      for (const text of [key.toString('hex'), key.toString('hex').toUpperCase(), ` ${key.toString('base64')}\n`])
        assert.deepEqual(readCustomKey(text), key);
    }),
  );
  const digits = fc.string({
    unit: fc.constantFrom(...Array.from('0123456789abcdefABCDEFghXYZ+/=-_ ')),
    maxLength: 66,
  });
  fc.assert(
    fc.property(fc.oneof(fc.string(), digits), (text) => {
      try {
        const key = readCustomKey(text);
        assert.ok(
          [key.toString('hex'), key.toString('base64')].includes(
            text.trim().replace(/^[0-9A-F]{64}$/i, (hex) => hex.toLowerCase()),
          ),
        );
      } catch (error) {
        assert.ok(error instanceof RecoverError && error.code === 'secret.invalid', String(error));
      }
    }),
  );
});

test('any text of 1 to 1,024 bytes is a password, the same in both normal forms', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (text) => {
      const bytes = Buffer.from(text.normalize('NFC'));
      if (bytes.length === 0 || bytes.length > 1024)
        assert.throws(() => readPassword(text), { code: 'secret.invalid' });
      else for (const form of ['NFC', 'NFD']) assert.deepEqual(readPassword(text.normalize(form)), bytes);
    }),
  );
});
