import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { singleFlight, type Clock } from '@holdfast/base';
import type { Kms } from '../../platform/kms.ts';
import type { Database } from '../../platform/postgres.ts';
import * as store from './store.ts';
import type { PublicJwk } from './store.ts';

/** How long a key signs, how long before that it is published, and how long it verifies afterwards. */
export const KEY_TIMES = {
  signsMs: 30 * 86_400_000,
  publishedBeforeMs: 86_400_000,
  verifiesAfterMs: 20 * 60_000,
  /** How long a node works with what it last read. */
  readAgainMs: 60_000,
} as const;

const purpose = 'token-signing-key';

type KnownKey = {
  readonly keyId: string;
  readonly jwk: PublicJwk;
  readonly publicKey: KeyObject;
  readonly signsFrom: number;
  readonly signsUntil: number;
  readonly verifiesUntil: number;
};

/** The keys that sign and verify tokens, as this node knows them. */
export type TokenKeys = {
  /** The public half of a key, when it verifies now; read again from the database before it counts as unknown. */
  publicKey(keyId: string): Promise<KeyObject | undefined>;
  /** The keys to publish, those that will sign soon included. */
  jwks(): Promise<readonly PublicJwk[]>;
};

/** The keys with the right to sign: for the role api alone. */
export type SigningKeys = TokenKeys & {
  /** The key that signs now. */
  signing(): Promise<{ readonly keyId: string; readonly privateKey: KeyObject }>;
  /** Makes the next key when the newest will end within a day; returns whether it did. */
  rotate(): Promise<boolean>;
};

/** What knowing the keys needs. */
export type TokenKeyDeps = { readonly database: Database; readonly clock: Clock };

/** The keys, for a role that only verifies. */
export function createTokenKeys({
  database,
  clock,
}: TokenKeyDeps): TokenKeys & { all(): Promise<readonly KnownKey[]> } {
  let known: readonly KnownKey[] = [];
  let readAtMs = -Infinity;
  const read = singleFlight(async () => {
    const rows = await database.withoutTenant((tx) => store.listTokenKeys(tx, new Date(clock.now())));
    known = rows.map((row) => ({
      keyId: row.key_id,
      jwk: row.public_jwk,
      publicKey: createPublicKey({ key: { ...row.public_jwk }, format: 'jwk' }),
      signsFrom: row.signs_from.getTime(),
      signsUntil: row.signs_until.getTime(),
      verifiesUntil: row.verifies_until.getTime(),
    }));
    readAtMs = clock.monotonic();
    return known;
  });
  const all = async () => (clock.monotonic() - readAtMs < KEY_TIMES.readAgainMs ? known : read());
  const valid = () => known.filter((key) => key.verifiesUntil > clock.now());
  // Unknown key ids come from anybody: they make this node read again once a second at most.
  const readSoon = async () => (clock.monotonic() - readAtMs < 1_000 ? known : read());
  return {
    all,
    async publicKey(keyId) {
      await all();
      const find = () => valid().find((key) => key.keyId === keyId)?.publicKey;
      return find() ?? (await readSoon(), find());
    },
    async jwks() {
      await all();
      return valid().map((key) => key.jwk);
    },
  };
}

/** The keys, for the role that signs; makes the first one when there is none. */
export function createSigningKeys(deps: TokenKeyDeps & { readonly kms: Kms }): SigningKeys {
  const { database, clock, kms } = deps;
  let keys = createTokenKeys(deps);
  const opened = new Map<string, KeyObject>();
  const makeNext = async () => {
    const made = await makeKey(kms);
    const added = await database.withoutTenant(async (tx) => {
      await store.lockTokenKeys(tx);
      const now = clock.now();
      const newest = (await store.listTokenKeys(tx, new Date(now))).at(-1);
      const endsAt = newest?.signs_until.getTime() ?? 0;
      if (endsAt > now + KEY_TIMES.publishedBeforeMs) return false;
      await store.insertTokenKey(tx, keyRow(made, now, Math.max(now, endsAt)));
      return true;
    });
    keys = createTokenKeys(deps);
    return added;
  };
  const current = async () => {
    const now = clock.now();
    return (await keys.all()).findLast((key) => key.signsFrom <= now && now < key.signsUntil);
  };
  const open = async (keyId: string) => {
    const wrapped = await database.withoutTenant((tx) => store.findWrappedKey(tx, keyId));
    const secret = await kms.unwrap(wrapped ?? '', { purpose });
    return createPrivateKey({ key: Buffer.from(secret), type: 'pkcs8', format: 'der' });
  };
  return {
    publicKey: (keyId) => keys.publicKey(keyId),
    jwks: () => keys.jwks(),
    async rotate() {
      const newest = (await keys.all()).at(-1);
      const isFresh = newest !== undefined && newest.signsUntil > clock.now() + KEY_TIMES.publishedBeforeMs;
      return isFresh ? false : makeNext();
    },
    async signing() {
      let key = await current();
      if (!key) {
        await makeNext();
        key = await current();
      }
      if (!key) throw new Error('a signing key was made and is not there');
      const privateKey = opened.get(key.keyId) ?? (await open(key.keyId));
      opened.set(key.keyId, privateKey);
      return { keyId: key.keyId, privateKey };
    },
  };
}

type MadeKey = { readonly keyId: string; readonly jwk: PublicJwk; readonly wrapped: string };

async function makeKey(kms: Kms): Promise<MadeKey> {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const { x = '' } = publicKey.export({ format: 'jwk' });
  const keyId = x.slice(0, 16);
  const secret = privateKey.export({ type: 'pkcs8', format: 'der' });
  return {
    keyId,
    jwk: { kty: 'OKP', crv: 'Ed25519', x, kid: keyId, alg: 'EdDSA', use: 'sig' },
    wrapped: await kms.wrap(secret, { purpose }),
  };
}

function keyRow(made: MadeKey, nowMs: number, signsFromMs: number) {
  const signsUntilMs = signsFromMs + KEY_TIMES.signsMs;
  return {
    key_id: made.keyId,
    public_jwk: JSON.stringify(made.jwk),
    wrapped_private_key: made.wrapped,
    created_at: new Date(nowMs),
    signs_from: new Date(signsFromMs),
    signs_until: new Date(signsUntilMs),
    verifies_until: new Date(signsUntilMs + KEY_TIMES.verifiesAfterMs),
  };
}
