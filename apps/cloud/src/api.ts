import type { Clock } from '@holdfast/base';
import type { FastifyInstance } from 'fastify';
import { mountApiClients, readClientState } from './modules/api-clients/index.ts';
import { mountAudit, writeAudit } from './modules/audit/index.ts';
import { mountDevices, readDeviceState, type ServerFacts } from './modules/devices/index.ts';
import { createAuthenticate, mountIdentity, readUserState } from './modules/identity/index.ts';
import { mountKeyLog } from './modules/keylog/index.ts';
import { keepSigningHeads } from './modules/logs/index.ts';
import { mountOrgs } from './modules/orgs/index.ts';
import { mountPolicies } from './modules/policies/index.ts';
import { archivesToHandOn } from './modules/storage/index.ts';
import { mountTakeovers } from './modules/takeovers/index.ts';
import { keepFollowing, mountReleases, type ReleaseDeps } from './modules/releases/index.ts';
import { findInstallationId, mountTenants } from './modules/tenants/index.ts';
import { createWitnessEgress, keepWitnessing, type Witness } from './modules/witnesses/index.ts';
import { createNonces, createSigningKeys, type Nonces, type SigningKeys } from './modules/tokens/index.ts';
import type { Kms } from './platform/kms.ts';
import type { Log } from './platform/log.ts';
import type { HttpDeps } from './platform/mount.ts';
import type { Database } from './platform/postgres.ts';
import { RefusalLog } from './platform/refusal-log.ts';

/** What the role api is made of. */
export type ApiOptions = {
  /** The connections of `hf_api`. */
  readonly database: Database;
  /** The `Kms` of the role api. */
  readonly kms: Kms;
  /** Where clients reach this server, without a final slash; asked at every request. */
  readonly publicUrl: () => string;
  /** SHA-256 of the local CA's certificate (DER), hex; null where the certificate comes from elsewhere. */
  readonly caSha256: string | null;
  /** Who cosigns the heads of key logs; nobody when absent. */
  readonly witnesses?: readonly Witness[];
  /** The CAs (PEM) that witnesses are trusted by, instead of the well-known ones. */
  readonly witnessCa?: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends when the server stops. */
  readonly stopping: AbortSignal;
  readonly keystore: ReleaseDeps['keystore'];
  /** Keyrings of archives, from where archives are. */
  readonly readKeyring: ReleaseDeps['readKeyring'];
};

/** The role api, mounted. */
export type Api = {
  readonly installationId: string;
  readonly deps: HttpDeps;
  readonly keys: SigningKeys;
  readonly nonces: Nonces;
  /** What invitations say of this server. */
  readonly server: ServerFacts;
  /** Signs heads of logs, has witnesses cosign them, renews signing keys and writes down counted refusals until the server stops; resolves then. */
  runBackground(): Promise<void>;
};

const KEY_CHECK_MS = 3_600_000;

/**
 * Mounts every route of the role api on an app that `prepareHttp` has prepared: one line per module.
 *
 * The database is migrated and `prepareInstallation` has run.
 */
export async function mountApi(app: FastifyInstance, options: ApiOptions): Promise<Api> {
  const { database, kms, publicUrl, caSha256, witnesses = [], witnessCa: ca } = options;
  const { clock, stopping, log, keystore, readKeyring } = options;
  const installationId = await database.withoutTenant((tx) => findInstallationId(tx));
  if (installationId === undefined) throw new Error('prepareInstallation must run before the api');
  const keys = createSigningKeys({ database, clock, kms });
  const nonces = createNonces({ database, kms, clock });
  const proofs = { database, nonces, nowMs: () => clock.now() };
  const readState = { user: readUserState, client: readClientState, device: readDeviceState };
  const about = { role: 'api', database, installationId, publicUrl, clock, keys } as const;
  const authenticate = createAuthenticate({ ...about, proofs, readState });
  const refusals = new RefusalLog({ database, writeAudit, clock });
  const deps = { ...about, proofs, caSha256, authenticate, writeAudit, refusals, stopping };
  mountTenants(app, deps);
  mountOrgs(app, deps);
  mountIdentity(app, deps);
  mountApiClients(app, deps);
  mountPolicies(app, deps);
  mountAudit(app, deps);
  const witnessKeys = witnesses.map(({ keyText }) => keyText);
  mountKeyLog(app, { ...deps, adapters: { database, kms, installationId, clock, witnessKeys } });
  mountDevices(app, { ...deps, kms });
  mountTakeovers(app, { ...deps, archives: archivesToHandOn });
  const releasing = { ...deps, kms, keystore, readKeyring, log };
  mountReleases(app, releasing);
  const background = () =>
    Promise.all([
      keepSigningHeads({ ...options, installationId }, stopping),
      keepWitnessing({ ...options, writeAudit, witnesses, ca, egress: createWitnessEgress() }, stopping),
      keepRotating(options, keys),
      keepFollowing(releasing, stopping),
      refusals.run(options.log, stopping),
    ]);
  const server = { installationId, publicUrl, caSha256 };
  return { installationId, deps, keys, nonces, server, runBackground: () => background().then(() => undefined) };
}

async function keepRotating({ clock, log, stopping }: ApiOptions, keys: SigningKeys): Promise<void> {
  while (!stopping.aborted) {
    await keys.rotate().catch((err: unknown) => log.error({ err }, 'the token signing keys were not renewed'));
    await clock.sleep(KEY_CHECK_MS, stopping).catch(() => undefined);
  }
}
