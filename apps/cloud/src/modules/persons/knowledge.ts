import { CodedError } from '@holdfast/base';
import {
  parseKeyLogLeaf,
  rulesInForce,
  subject,
  type KeyLogLeaf,
  type KnownRules,
  type ReleaseRules,
} from '@holdfast/trust';
import { judgeRulesLeaf } from '../../keystore/judge-rules.ts';
import { keyLeafKinds, registerKey, type KeyLeaf, type RegisteredKey } from '../../keystore/key-register.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import { findDeviceByKey } from '../devices/index.ts';
import { listJudgingLeaves } from '../keylog/index.ts';
import { thumbprintOf } from '../tokens/index.ts';

/** What the key log says of keys and rules, as the keystore will judge it: by the same functions, with the times of the leaves. */
export type Knowledge = {
  readonly keys: readonly RegisteredKey[];
  readonly rules: readonly KnownRules[];
  /** The rules in force at an instant. */
  readonly rulesAt: (nowMs: number) => ReleaseRules;
};

/** Reads what the log says of all persons, of the rules, and of the device that has a key. */
export async function readKnowledge(
  tx: TenantTx,
  { tenantUid, installationId }: { readonly tenantUid: string; readonly installationId: string },
  publicKeys: readonly string[],
): Promise<Knowledge> {
  const subjects: string[] = [];
  for (const x of publicKeys) {
    const device = await findDeviceByKey(tx, tenantUid, await thumbprintOf({ kty: 'OKP', crv: 'Ed25519', x }));
    if (device) subjects.push(subject.device(device.device_id));
  }
  const texts = await listJudgingLeaves(tx, { tenantId: tenantUid, subjects });
  return learn(texts.map(parseKeyLogLeaf), { tenantUid, installationId });
}

/** What leaves say, one after the other; one that the keystore would refuse says nothing. */
export function learn(
  leaves: readonly KeyLogLeaf[],
  tenant: { readonly tenantUid: string; readonly installationId: string },
): Knowledge {
  let keys: readonly RegisteredKey[] = [];
  const rules: KnownRules[] = [];
  for (const leaf of leaves) {
    const nowMs = Date.parse(leaf.at);
    try {
      if (leaf.kind === 'release_rules') rules.push(judgeRulesLeaf(leaf, { tenant, nowMs, keys, rules }).known);
      else if (isKeyLeaf(leaf)) keys = put(keys, registerKey(keys, leaf, { tenantUid: tenant.tenantUid, nowMs }));
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
    }
  }
  return { keys, rules, rulesAt: (nowMs) => rulesInForce(rules, nowMs) };
}

function put(keys: readonly RegisteredKey[], key: RegisteredKey): readonly RegisteredKey[] {
  return [...keys.filter(({ publicKey }) => publicKey !== key.publicKey), key];
}

function isKeyLeaf(leaf: KeyLogLeaf): leaf is KeyLeaf {
  return keyLeafKinds.some((kind) => kind === leaf.kind);
}
