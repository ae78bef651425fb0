import { setImmediate as nextTurn } from 'node:timers/promises';
import { assert, CodedError, parseUuid } from '@holdfast/base';
import { rootOf } from '@holdfast/trust';
import type { z } from 'zod';
import { forgetSoon } from './forget.ts';
import { judgeTries, proveEscrow } from './judge-try.ts';
import { openKeystoreKey } from './keystore-key.ts';
import { defineOperation, type KeystoreContext } from './operation.ts';
import { innerKeyIdOf } from './read-keyring.ts';
import { TriesAnswer, TriesAsked } from './release-shapes.ts';
import * as kept from './release-store.ts';
import { expectLogVerifier } from './store.ts';

type Asked = z.output<typeof TriesAsked>;
type Outcome = z.input<typeof TriesAnswer>['outcomes'][number];

/**
 * Opens escrow slots that a leaf announces, and says of each whether it leads to the newest epoch. Nothing of what is opened is answered.
 *
 * @throws keystore.*, where the leaf or its head is not what it has to be, or does not announce one of them; kms.*. Then none was opened.
 */
export const prove = defineOperation({
  request: TriesAsked,
  reply: TriesAnswer,
  maxBodyBytes: 4_194_304,
  isRepeatable: true,
  async work(context, asked) {
    const tries = asked.tries.map(({ archiveId, slotId, ...rest }) => ({
      ...rest,
      archiveId: archiveBytes(archiveId),
      slotId: new Uint8Array(Buffer.from(slotId, 'hex')),
    }));
    await judge(context, asked, tries);
    const outcomes: Outcome[] = [];
    for (const one of tries) {
      outcomes.push(await tryOne(context, asked.tenantUid, one));
      // A run of many keeps no release waiting.
      await nextTurn();
    }
    return { outcomes };
  },
});

type Try = Parameters<typeof judgeTries>[1][number] & { readonly inner: Uint8Array };

/** Nothing is kept: the leaf stands under the head that was followed, and kept then. */
function judge({ installationId, database }: KeystoreContext, asked: Asked, tries: readonly Try[]): Promise<unknown> {
  const { tenantUid, note, leaf } = asked;
  return database.withTenant(tenantUid, async (tx) => {
    const logVerifier = await expectLogVerifier(tx, tenantUid);
    const followed = await kept.findFollowed(tx, tenantUid);
    const known = { logVerifier, kept: { treeSize: followed.size, root: rootOf(followed) }, isFollowed: true };
    const tenant = { installationId, tenantUid };
    judgeTries({ ...known, tenant, head: { note, consistency: [] }, leaf }, tries);
  });
}

async function tryOne(context: KeystoreContext, tenantId: string, one: Try): Promise<Outcome> {
  try {
    const keyId = innerKeyIdOf(one);
    const keystoreKey = await openKeystoreKey(context, tenantId, keyId);
    return { status: 'opens', ...proveEscrow(one, { inner: one.inner, keystoreKey }) };
  } catch (error) {
    // What the keystore's own keys or database are in the way of says nothing of the slot.
    if (!(error instanceof CodedError) || error.code.startsWith('kms.')) throw error;
    return { status: 'fails', code: error.code };
  } finally {
    one.inner.fill(0);
    forgetSoon();
  }
}

function archiveBytes(archiveId: string): Uint8Array {
  const bytes = parseUuid(archiveId);
  assert(bytes, 'its shape has said that it is a UUID');
  return bytes;
}
