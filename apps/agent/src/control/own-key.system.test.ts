import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { type CodedError, systemClock, systemRandom } from '@holdfast/base';
import { importHpkeKey, prepareCustomKeySlot, type PreparedSlot } from '@holdfast/trust';
import type { EscrowOfTenant } from '../agent.ts';
import { DeviceArchive } from '../archive/device-archive.ts';
import { TestAgent } from '../testing.ts';

type Outcome = {
  readonly struck: readonly { readonly kind: string }[];
  readonly added: readonly { readonly kind: string; readonly slotId: string }[];
  readonly isDemanded?: boolean;
  readonly letsOrganisationIn?: boolean;
};

const publicKey = () => importHpkeKey(systemRandom(32)).publicKey;
const newKeys = () => ({ logKey: publicKey(), keystoreKey: publicKey() });
const escrowOf = (setting: 'required' | 'always', keys = newKeys()): EscrowOfTenant => ({
  keys,
  sha256: 'a'.repeat(64),
  setting,
  loggedUpTo: 'a head',
});

/** An enrolled agent whose organisation asks for escrow. */
async function startAgent(t: TestContext, escrow: EscrowOfTenant) {
  const agent = new TestAgent();
  t.after(() => agent.remove());
  const start = async (known: EscrowOfTenant) => agent.start({ escrow: known });
  await start(escrow);
  const archiveId = await agent.ask('key.list').then((list) => Uint8Array.fromHex(list['archiveId'] as string));
  const newSlot = () => prepareCustomKeySlot(archiveId, systemRandom(32), systemRandom);
  const use = async ({ slot, publicKey: key }: PreparedSlot, more: object = {}) => {
    const prepared = { slotId: slot.slotId.toHex(), commitment: slot.commitment.toHex(), publicKey: key.toHex() };
    return (await agent.ask('key.use-own', { choice: 'custom', slot: prepared, ...more })) as unknown as Outcome;
  };
  const standing = async () => {
    const {
      choice,
      slots,
      escrow: shown,
    } = (await agent.ask('key.list')) as unknown as {
      choice: string;
      slots: { kind: string; isCurrent: boolean }[];
      escrow: { state: string };
    };
    return [choice, slots.flatMap(({ kind, isCurrent }) => (isCurrent ? [kind] : [])), shown.state] as const;
  };
  const again = async (known: EscrowOfTenant) => {
    await agent.stop();
    await start(known);
  };
  return { agent, use, newSlot, standing, again };
}

test('an own key in place of escrow can be replaced under `always`, and a first one cannot be set', async (t) => {
  const escrow = escrowOf('required');
  const always = { ...escrow, setting: 'always' } as const;
  const { use, newSlot, standing, again } = await startAgent(t, escrow);
  await again(always);
  await assert.rejects(use(newSlot()), { code: 'keys.escrow_demanded' });
  assert.deepEqual(await standing(), ['standard', ['escrow'], 'in_place']);
  assert.equal((await use(newSlot(), { withEscrow: true })).letsOrganisationIn, undefined, 'it was in');
  await again(escrow);
  const first = await use(newSlot());
  assert.deepEqual([first.isDemanded, first.struck.map(({ kind }) => kind)], [undefined, ['escrow', 'custom_key']]);
  await again(always);
  const dry = await use(newSlot(), { dryRun: true });
  assert.equal(dry.isDemanded, true);
  const replaced = await use(newSlot());
  assert.deepEqual([replaced.isDemanded, replaced.struck.map(({ kind }) => kind)], [true, ['custom_key']]);
  assert.deepEqual(await standing(), ['custom', ['custom_key'], 'kept_off']);
  const back = await use(newSlot(), { withEscrow: true });
  assert.deepEqual([back.letsOrganisationIn, back.isDemanded], [true, undefined]);
  assert.deepEqual(await standing(), ['standard', ['custom_key', 'escrow'], 'in_place'], 'by the same keyring');
});

test('an own key under the number of a slot that the archive has or had is refused', async (t) => {
  const { use, newSlot, standing } = await startAgent(t, escrowOf('required'));
  const [first, second] = [newSlot(), newSlot()];
  await use(first);
  const taken = { ...second, slot: { ...second.slot, slotId: first.slot.slotId } };
  await assert.rejects(use(taken), (error: CodedError) => {
    assert.deepEqual([error.code, error.details['field']], ['control.invalid', 'slot.slotId']);
    return true;
  });
  await use(second);
  await assert.rejects(use(first), { code: 'control.invalid' }, 'nor one that was struck');
  assert.deepEqual(await standing(), ['custom', ['custom_key'], 'kept_off']);
});

test('back under the standard policy escrow for other keys than the pinned ones is exchanged, and not kept beside', async (t) => {
  const { agent, use, newSlot, standing, again } = await startAgent(t, escrowOf('required'));
  await use(newSlot(), { withEscrow: true });
  await again(escrowOf('required'));
  assert.deepEqual(await standing(), ['standard', ['escrow', 'custom_key'], 'to_replace']);
  await agent.ask('key.use-standard');
  assert.deepEqual(await standing(), ['standard', ['escrow'], 'in_place']);
  await agent.stop();
  const archive = DeviceArchive.open(agent.options.stateDir, { clock: systemClock, random: systemRandom });
  assert.equal(archive.stored.keys.ring.epochs.length, 3);
  archive.close();
});
