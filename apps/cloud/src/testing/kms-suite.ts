import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { KmsProvider, KmsRole } from '../platform/kms.ts';

/** A place where keys are kept, to be opened any number of times, as by processes that start one after another or at once. */
export type KmsPlace = { open(): Promise<KmsProvider> };

/** What the suite needs of a provider. */
export type KmsUnderTest = {
  /** Such as `key file with a passphrase`; the tests' names begin with it. */
  readonly name: string;
  /** Makes an empty place, which ends with the test. */
  readonly makePlace: (t: TestContext) => Promise<KmsPlace>;
  /** Why it cannot be tried here. */
  readonly skip?: string | false;
};

const secret = new TextEncoder().encode('a secret of some length');
const context = { purpose: 'log-key', tenantId: 'tenant-1' };
const notOpened = { code: 'kms.not_opened' };

type Promised = readonly [
  sentence: string,
  hold: (place: KmsPlace, makeOther: () => Promise<KmsPlace>) => Promise<void>,
];

const promised: readonly Promised[] = [
  [
    'a wrapped secret opens for its role and context, also after a restart, and names its key',
    async (place) => {
      const first = await place.open();
      const wrapped = await first.forRole('api').wrap(secret, context);
      assert.deepEqual(await first.forRole('api').unwrap(wrapped, context), secret);
      await first.close();
      const again = await place.open();
      assert.deepEqual(await again.forRole('api').unwrap(wrapped, context), secret);
      const [key] = (await again.listKeys()).filter(({ role }) => role === 'api' || role === null);
      assert.ok(wrapped.startsWith(`hfw1.${key?.keyId}.api.`), wrapped);
      assert.ok(!wrapped.includes(Buffer.from(secret).toString('base64url')));
      assert.notEqual(await again.forRole('api').wrap(secret, context), wrapped);
      assert.deepEqual(
        await again.forRole('api').unwrap(await again.forRole('api').wrap(new Uint8Array(), context), context),
        new Uint8Array(),
      );
    },
  ],

  [
    'it opens for no other role, purpose or tenant, and not when one character differs',
    async (place) => {
      const kms = await place.open();
      const api = kms.forRole('api');
      const wrapped = await api.wrap(secret, context);
      assert.deepEqual(await api.unwrap(wrapped, context), secret);
      const others: readonly KmsRole[] = ['storage', 'keystore', 'ingest', 'jobs', 'operator'];
      for (const role of others) {
        const other = kms.forRole(role);
        const own = await other.wrap(secret, context);
        assert.deepEqual(await other.unwrap(own, context), secret);
        await assert.rejects(other.unwrap(wrapped, context), notOpened);
        await assert.rejects(
          other.unwrap(wrapped.replace('.api.', `.${role}.`), context),
          /could not be opened|not among the master keys/,
        );
        const [, ownKey = ''] = own.split('.');
        const [, , , body = ''] = wrapped.split('.');
        await assert.rejects(other.unwrap(`hfw1.${ownKey}.${role}.${body}`, context), notOpened);
      }
      for (const moved of [
        { ...context, purpose: 'other' },
        { ...context, tenantId: 'tenant-2' },
        { purpose: 'log-key' },
      ])
        await assert.rejects(api.unwrap(wrapped, moved), notOpened);
      for (const at of [wrapped.lastIndexOf('.') + 5, wrapped.length - 30, wrapped.length - 3]) {
        const changed = wrapped.slice(0, at) + (wrapped[at] === 'A' ? 'B' : 'A') + wrapped.slice(at + 1);
        await assert.rejects(api.unwrap(changed, context), notOpened);
      }
      for (const text of ['', 'hfw1', 'hfw2.a.api.b', wrapped.slice(0, 40), wrapped.replace(/\.[^.]+$/, '.')])
        await assert.rejects(api.unwrap(text, context), /could not be opened|not among the master keys/);
    },
  ],

  [
    'a key that is added wraps from then on, in what was opened before, too; older ones open',
    async (place) => {
      const [changing, running] = [await place.open(), await place.open()];
      const before = await running.forRole('api').wrap(secret, context);
      await changing.addKeys();
      const after = await running.forRole('api').wrap(secret, context);
      assert.notEqual(keyOf(after), keyOf(before));
      const elsewhere = await changing.forRole('storage').wrap(secret, context);
      for (const kms of [changing, running, await place.open()]) {
        assert.deepEqual(await kms.forRole('api').unwrap(before, context), secret);
        assert.deepEqual(await kms.forRole('api').unwrap(after, context), secret);
        assert.deepEqual(await kms.forRole('storage').unwrap(elsewhere, context), secret);
      }
    },
  ],

  [
    'a key that was removed opens nothing, the others do, and the newest stays',
    async (place) => {
      const kms = await place.open();
      const before = await kms.forRole('api').wrap(secret, context);
      await kms.addKeys();
      const after = await kms.forRole('api').wrap(secret, context);
      await kms.rewrapOwn();
      await assert.rejects(kms.removeKeys([keyOf(after)]), { code: 'kms_change.last_key' });
      await kms.removeKeys([keyOf(before)]);
      const fresh = await place.open();
      await assert.rejects(fresh.forRole('api').unwrap(before, context), { code: 'kms.unknown_key' });
      assert.deepEqual(await fresh.forRole('api').unwrap(after, context), secret);
      assert.ok((await fresh.listKeys()).every(({ keyId }) => keyId !== keyOf(before)));
    },
  ],

  [
    'passwords are the same after restarts and changes of keys, and differ by purpose and place',
    async (place, makeOther) => {
      const first = await place.open();
      const password = first.derivePassword('hf_api');
      assert.match(password, /^[\w-]{43}$/);
      assert.notEqual(first.derivePassword('hf_system'), password);
      assert.equal((await place.open()).derivePassword('hf_api'), password);
      const older = (await first.listKeys()).map(({ keyId }) => keyId);
      await first.addKeys();
      await first.rewrapOwn();
      await first.removeKeys(older);
      assert.equal((await place.open()).derivePassword('hf_api'), password);
      assert.notEqual((await (await makeOther()).open()).derivePassword('hf_api'), password);
    },
  ],

  [
    'many that start at once in an empty place agree, and work at the same time',
    async (place) => {
      const all = await Promise.all(Array.from({ length: 5 }, () => place.open()));
      const wrapped = await Promise.all(all.map((kms) => kms.forRole('api').wrap(secret, context)));
      for (const kms of all)
        for (const text of wrapped) assert.deepEqual(await kms.forRole('api').unwrap(text, context), secret);
      assert.equal(new Set(all.map((kms) => kms.derivePassword('x'))).size, 1);
    },
  ],
];

/** The same promises, tried on every provider. */
export function testKms({ name, makePlace, skip = false }: KmsUnderTest): void {
  for (const [sentence, hold] of promised)
    void test(`${name}: ${sentence}`, { skip }, async (t) => hold(await makePlace(t), () => makePlace(t)));
}

function keyOf(wrapped: string): string {
  return wrapped.split('.')[1]!;
}
