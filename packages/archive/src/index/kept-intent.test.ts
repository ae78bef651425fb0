import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { noIntent } from './commit-table.ts';
import { deserializeIntent, serializeIntent } from './kept-intent.ts';

const bytes = fc.uint8Array({ maxLength: 300 });

test('an intent that was kept says the same when it is taken up', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ key: bytes, value: bytes })),
      fc.array(fc.nat()),
      fc.array(bytes),
      fc.option(fc.record({ ordinal: fc.nat(), sha256: bytes, droppedNodes: fc.array(fc.nat()) }), { nil: undefined }),
      (puts, detached, blocks, root) => {
        const intent = { ...noIntent, puts, detached, blocks, ...(root && { root }) };
        assert.deepEqual(plain(deserializeIntent(serializeIntent(intent))), plain(intent));
      },
    ),
  );
});

/** With text for bytes: what comes back are other views of the same bytes. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, part: unknown) =>
      part instanceof Uint8Array ? Buffer.from(part).toString('hex') : part,
    ),
  );
}
