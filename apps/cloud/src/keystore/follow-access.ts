import { singleFlight, type Random } from '@holdfast/base';
import { openRoleKms, type Kms, type RoleKey, type RoleKeySource } from '../platform/kms.ts';
import type { RoleAccess } from '../platform/role-access.ts';

/** Asks for what opens the keys now; undefined where no answer came. */
export type AskAccess = () => Promise<RoleAccess | undefined>;

/** The `Kms` of the keystore, which follows a change of keys by asking. What a kind of place needs is loaded for that alone. */
export async function followAccess(access: RoleAccess, ask: AskAccess, random: Random): Promise<Kms> {
  if (access.kind === 'keys') return openRoleKms('keystore', followKeys(access.keys, ask), random);
  if (access.kind === 'pkcs11') {
    const { openTokenRoleKms } = await import('../platform/kms-pkcs11.ts');
    return openTokenRoleKms('keystore', { ...access, readPin: () => Promise.resolve(access.secret), random });
  }
  if (access.kind === 'aws') {
    const { openAwsRoleKms } = await import('../platform/kms-aws.ts');
    return openAwsRoleKms('keystore', access, ask);
  }
  const { openVaultRoleKms } = await import('../platform/kms-vault.ts');
  return openVaultRoleKms('keystore', access, followSecret(access.secret, ask));
}

/** The first one, and from then on what is told: it is read again when it is no longer taken. */
function followSecret(first: Uint8Array, ask: AskAccess): () => Promise<Uint8Array> {
  let secret = first;
  let isFirst = true;
  return async () => {
    const now = isFirst ? undefined : await ask();
    isFirst = false;
    if (now && now.kind !== 'keys') secret = now.secret;
    return secret;
  };
}

/** Without an answer the keys that are known are used: what is wrapped with a retired one the database does not store. */
function followKeys(first: readonly RoleKey[], ask: AskAccess): RoleKeySource {
  let known = first;
  const follow = singleFlight(async () => {
    const now = await ask();
    if (now?.kind === 'keys') known = join(known, now.keys);
  });
  return {
    known: () => known,
    async newest() {
      await follow();
      return known;
    },
  };
}

/** The order of `now`; keys that are gone from it open still, and those known already are kept in one place only. */
function join(known: readonly RoleKey[], now: readonly RoleKey[]): readonly RoleKey[] {
  const gone = known.filter(({ keyId }) => !now.some((key) => key.keyId === keyId));
  const kept = now.map((key) => {
    const before = known.find(({ keyId }) => keyId === key.keyId);
    if (before) key.key.fill(0);
    return before ?? key;
  });
  return [...gone, ...kept];
}
