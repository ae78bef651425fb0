import { singleFlight, type Random } from '@holdfast/base';
import { openRoleKms, type Kms, type RoleKey, type RoleKeySource } from '../platform/kms.ts';
import { openTokenRoleKms } from '../platform/kms-pkcs11.ts';
import type { RoleAccess } from '../platform/role-access.ts';

/** Asks for what opens the keys now; undefined where no answer came. */
export type AskAccess = () => Promise<RoleAccess | undefined>;

/** The `Kms` of the keystore, which follows a change of keys by asking. */
export function followAccess(access: RoleAccess, ask: AskAccess, random: Random): Kms {
  if (access.kind === 'keys') return openRoleKms('keystore', followKeys(access.keys, ask), random);
  const { pin, ...place } = access;
  return openTokenRoleKms('keystore', { ...place, readPin: () => Promise.resolve(pin), random });
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
