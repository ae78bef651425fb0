import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import {
  CloudClient,
  createHttpsFetch,
  enroll,
  EnrollmentStore,
  fetchCa,
  type CloudClientOptions,
  type Enrollment,
} from '@holdfast/agent/cloud';
import type { CloudEdges } from '@holdfast/cloud';
import { createTenant, readCloudConfig, silentLog, startCloud, type Cloud, type NewTenant } from '@holdfast/cloud';
import type { EnrollmentToken } from '@holdfast/contract';
import { clientCredentials, createClient, type Client } from '@holdfast/sdk';
import { afterwards } from '@holdfast/testing';

/** A folder of one test's own, with a space in its name. */
export function newFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast cloud '));
  afterwards(t, () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A real server in this process, over TLS, with a tenant. */
export type RunningCloud = {
  readonly cloud: Cloud;
  readonly homeDir: string;
  /** Makes another tenant. */
  readonly addTenant: (slug: string) => Promise<AdministeredTenant>;
  readonly stop: () => Promise<void>;
};

/** A tenant, and the API as its first client reaches it. */
export type AdministeredTenant = NewTenant & {
  readonly client: Client;
  /** An invitation for so many devices. */
  readonly invite: (uses?: number) => Promise<EnrollmentToken>;
};

/** Starts a server on a free port, in a folder of its own or the one given. */
export async function startRunningCloud(
  t: TestContext,
  options: {
    readonly homeDir?: string;
    readonly edges?: Partial<CloudEdges>;
    readonly port?: number;
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Promise<RunningCloud> {
  const homeDir = options.homeDir ?? path.join(newFolder(t), 'home');
  const listen = `127.0.0.1:${options.port ?? 0}`;
  const config = readCloudConfig({ HOLDFAST_HOME: homeDir, HOLDFAST_LISTEN: listen, ...options.env });
  const cloud = await startCloud(config, { log: silentLog, ...options.edges });
  afterwards(t, () => cloud.stop(0));
  const addTenant = async (slug: string) => {
    const about = { slug, name: slug, adminUsername: `admin@${slug}` };
    return administer(cloud, await createTenant(cloud.bootstrap, about));
  };
  return { cloud, homeDir, addTenant, stop: () => cloud.stop(0) };
}

/** The API as a tenant's first client reaches it. */
export async function administer(cloud: Pick<Cloud, 'url' | 'api'>, tenant: NewTenant): Promise<AdministeredTenant> {
  const { url: baseUrl } = cloud;
  const ca = await fetchCa(baseUrl, cloud.api.server.caSha256 ?? '');
  const { fetch } = createHttpsFetch({ ca });
  const secret = { clientId: tenant.apiClientId, clientSecret: tenant.apiClientSecret };
  const credentials = clientCredentials(secret, { baseUrl, fetch, nowMs: () => Date.now() });
  const client = createClient({ baseUrl, fetch, credentials });
  const invite = async (uses = 1) =>
    (await client.enrollmentTokens.create({ body: { uses, days: 1 } })).enrollmentToken;
  return { ...tenant, client, invite };
}

/** What a device says of itself. */
export const aboutDevice = { hostname: 'laptop', os: 'Linux 6.1', agentVersion: '0.1.0' } as const;

/** A device that was enrolled with the agent's own code. */
export type EnrolledDevice = {
  readonly stateDir: string;
  readonly store: EnrollmentStore;
  readonly enrollment: Enrollment;
  readonly client: CloudClient;
};

/** Enrols a device with an invitation, or one made for it; in a new folder, or one where it was enrolled before. */
export async function enrollDevice(
  t: TestContext,
  tenant: Pick<AdministeredTenant, 'invite'>,
  options: CloudClientOptions & { readonly token?: EnrollmentToken; readonly stateDir?: string } = {},
): Promise<EnrolledDevice> {
  const { stateDir = newFolder(t) } = options;
  const store = new EnrollmentStore(stateDir);
  const token = options.token ?? (await tenant.invite());
  const enrollment = await enroll({ ...aboutDevice, tokenText: JSON.stringify(token) }, store);
  const client = new CloudClient(enrollment, options);
  afterwards(t, () => client.close());
  return { stateDir, store, enrollment, client };
}
