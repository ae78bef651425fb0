import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hex, uuid } from './testing/leaf-arbitraries.ts';
import { escrowTriesRoot, isEscrowTryProved, proveEscrowTry } from './index.ts';

test('a slot is proved to be among those of a run, and no other slot, place or run is', async () => {
  const tries = fc.array(fc.record({ archiveId: uuid, slotId: hex(16), keyringSha256: hex(32) }), {
    minLength: 1,
    maxLength: 20,
  });
  await fc.assert(
    fc.asyncProperty(tries, fc.nat(), hex(32), async (all, which, other) => {
      const place = which % all.length;
      const claim = { place, slots: all.length, root: escrowTriesRoot(all) };
      const proof = await proveEscrowTry(all, place);
      const own = all[place]!;
      assert.ok(isEscrowTryProved(own, claim, proof));
      assert.ok(own.keyringSha256 === other || !isEscrowTryProved({ ...own, keyringSha256: other }, claim, proof));
      assert.ok(!isEscrowTryProved({ ...own, slotId: `${own.slotId}0` }, claim, proof));
      assert.ok(!isEscrowTryProved(own, { ...claim, place: place + 1 }, proof));
      assert.ok(!isEscrowTryProved(own, { ...claim, slots: all.length + 1 }, [...proof, claim.root]));
    }),
    { numRuns: 50 },
  );
});
