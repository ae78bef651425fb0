import type { Operator } from './app.ts';
import { listKeyLogs, originOf } from './modules/logs/index.ts';
import { listTenants } from './modules/tenants/index.ts';
import { listFaults, listNewestCosignatures, type Witness } from './modules/witnesses/index.ts';

/** How the key log of a tenant stands with the witnesses, and what one has to be configured with to cosign it. */
export type WitnessedLog = {
  readonly tenant: string;
  readonly tenantUid: string;
  /** The name of the log: the first line of its heads. */
  readonly origin: string;
  /** The key that signs its heads, as a note verifier. */
  readonly verifier: string;
  /** Leaves below the newest signed head. */
  readonly treeSize: number;
  readonly witnesses: readonly WitnessedBy[];
};

/** What one witness cosigned last, and what it has seen that is not here. */
export type WitnessedBy = {
  readonly name: string;
  readonly key: string;
  /** Null where it is configured no more. */
  readonly url: string | null;
  /** Null where it has cosigned nothing yet. */
  readonly cosigned: { readonly treeSize: number; readonly at: string } | null;
  readonly faults: readonly {
    readonly fault: string;
    readonly witnessSize: number;
    readonly treeSize: number;
    readonly foundAt: string;
  }[];
};

const PAGE = 500;

/** Reads how all key logs stand with the witnesses that are configured, and with those that were, as the operator of the server. */
export async function reportWitnesses(
  operator: Operator,
  witnesses: readonly Witness[],
): Promise<readonly WitnessedLog[]> {
  const logs: WitnessedLog[] = [];
  for (let after: string | undefined = '00000000-0000-0000-0000-000000000000'; after !== undefined;) {
    const page: Awaited<ReturnType<typeof readPage>> = await readPage(operator, { witnesses, after });
    logs.push(...page.logs);
    after = page.next;
  }
  return logs;
}

async function readPage(
  { bootstrap: { system }, server: { installationId } }: Operator,
  { witnesses, after }: { readonly witnesses: readonly Witness[]; readonly after: string },
) {
  return system.withoutTenant(async (tx) => {
    const tenants = await listTenants(tx, { after, limit: PAGE });
    const tenantIds = tenants.map(({ tenant_id: tenantId }) => tenantId);
    if (tenantIds.length === 0) return { logs: [], next: undefined };
    const logs = new Map((await listKeyLogs(tx, tenantIds)).map((row) => [row.tenant_id, row]));
    const cosigned = Map.groupBy(await listNewestCosignatures(tx, tenantIds), (row) => row.tenant_id);
    const faults = Map.groupBy(await listFaults(tx, tenantIds), (row) => row.tenant_id);
    const shown = tenants.flatMap(({ tenant_id: tenantUid, slug: tenant }): readonly WitnessedLog[] => {
      const log = logs.get(tenantUid);
      // The installation's own tenant has devices of nobody.
      if (!log?.verifier || tenantUid === installationId) return [];
      const seen = { cosigned: cosigned.get(tenantUid) ?? [], faults: faults.get(tenantUid) ?? [] };
      const keys = [
        ...witnesses.map(({ keyText }) => keyText),
        ...[...seen.cosigned, ...seen.faults].map((row) => row.witness),
      ];
      return [
        {
          tenant,
          tenantUid,
          origin: originOf(installationId, { tenantId: tenantUid, log: 'key' }),
          verifier: log.verifier,
          treeSize: log.tree_size ?? 0,
          witnesses: [...new Set(keys)].map((key) => standingOf(key, witnesses, seen)),
        },
      ];
    });
    return { logs: shown, next: tenants.length < PAGE ? undefined : tenantIds.at(-1) };
  });
}

type Seen = {
  readonly cosigned: Awaited<ReturnType<typeof listNewestCosignatures>>;
  readonly faults: Awaited<ReturnType<typeof listFaults>>;
};

function standingOf(key: string, witnesses: readonly Witness[], { cosigned, faults }: Seen): WitnessedBy {
  const newest = cosigned.find(({ witness }) => witness === key);
  return {
    name: key.split('+')[0]!,
    key,
    url: witnesses.find(({ keyText }) => keyText === key)?.url ?? null,
    cosigned: newest ? { treeSize: newest.tree_size, at: newest.cosigned_at.toISOString() } : null,
    faults: faults
      .filter(({ witness }) => witness === key)
      .map(({ fault, witness_size: witnessSize, tree_size: treeSize, found_at: foundAt }) => ({
        fault,
        witnessSize,
        treeSize,
        foundAt: foundAt.toISOString(),
      })),
  };
}
