import { X509Certificate } from 'node:crypto';
import { readFile, stat, statfs } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { systemClock, type Clock } from '@holdfast/base';
import { PRIVATE_SOCKET } from './app.ts';
import type { CloudConfig } from './config.ts';
import { keysFileOf } from './open-kms.ts';
import { openSocketHost } from './platform/embedded-postgres.ts';
import { DEAD_JOBS_METRIC, ROTTEN_SLOTS_METRIC, UNPROVED_ARCHIVES_METRIC } from './jobs-role.ts';
import type { Readiness } from './platform/health.ts';

/** One thing looked at. `failed` keeps a server from doing its work, `warning` will or may. */
export type Finding = {
  readonly subject: string;
  readonly state: 'ok' | 'warning' | 'failed';
  /** What was found. */
  readonly fact: string;
  /** What to do about it; absent when `ok`. */
  readonly remedy?: string;
};

const LOW_DISK_BYTES = 2 * 1024 ** 3;
const EXPIRY_WARNING_MS = 14 * 86_400_000;

/** Looks a server's folder, keys, certificate and running process over; changes nothing, works while it runs or not. */
export async function examineCloud(config: CloudConfig, clock: Clock = systemClock): Promise<readonly Finding[]> {
  const home = await stat(config.homeDir).catch(() => undefined);
  if (!home) {
    const remedy = 'start once: holdfast up, or holdfast cloud start';
    return [{ subject: 'home', state: 'failed', fact: `${config.homeDir} does not exist`, remedy }];
  }
  return [
    await examinePrivacy('home', config.homeDir, 0o700),
    await examinePrivacy('master keys', keysFileOf(config), 0o600),
    await examineCertificate(config, clock),
    await examineDisk(config.homeDir),
    ...(await examineServer(config)),
    await examineReach(config),
  ];
}

async function examinePrivacy(subject: string, file: string, mode: number): Promise<Finding> {
  const found = await stat(file).catch(() => undefined);
  if (!found)
    return { subject, state: 'failed', fact: `${file} is missing`, remedy: 'put it back from a backup of the server' };
  const uid = process.getuid?.();
  if (uid !== undefined && found.uid !== uid) {
    const fact = `${file} belongs to uid ${found.uid}, this is uid ${uid}`;
    return { subject, state: 'failed', fact, remedy: 'run as the user who owns it' };
  }
  const isPrivate = process.platform === 'win32' || (found.mode & 0o077) === 0;
  if (isPrivate) return { subject, state: 'ok', fact: `${file}, for its owner alone` };
  const remedy = `chmod ${mode.toString(8)} '${file}'`;
  return { subject, state: 'failed', fact: `${file} can be reached by other users`, remedy };
}

async function examineCertificate(config: CloudConfig, clock: Clock): Promise<Finding> {
  const subject = 'certificate';
  const file = config.certificateFiles?.certFile ?? path.join(config.homeDir, 'tls', 'server.pem');
  try {
    const { validToDate } = new X509Certificate(await readFile(file));
    const leftMs = validToDate.getTime() - clock.now();
    const fact = `${file}, valid until ${validToDate.toISOString().slice(0, 10)}`;
    if (leftMs > EXPIRY_WARNING_MS) return { subject, state: 'ok', fact };
    const remedy = config.certificateFiles ? 'put a new certificate in its place' : 'start the server: it renews it';
    return { subject, state: leftMs > 0 ? 'warning' : 'failed', fact, remedy };
  } catch (error) {
    const fact = `${file} cannot be read: ${(error as Error).message}`;
    const remedy = config.certificateFiles ? 'put a PEM certificate there' : 'start the server: it makes one';
    return { subject, state: 'failed', fact, remedy };
  }
}

async function examineDisk(homeDir: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(homeDir);
  const freeBytes = bavail * bsize;
  const fact = `${(freeBytes / 1024 ** 3).toFixed(1)} GiB free for ${homeDir}`;
  if (freeBytes >= LOW_DISK_BYTES) return { subject: 'disk', state: 'ok', fact };
  return { subject: 'disk', state: 'warning', fact, remedy: 'make room, or move HOLDFAST_HOME to a larger disk' };
}

async function examineServer(config: CloudConfig): Promise<readonly Finding[]> {
  const reply = await askReadiness(config).catch(() => undefined);
  if (!reply) {
    const remedy = 'holdfast up, or holdfast cloud start; its log says why it ended';
    return [{ subject: 'server', state: 'failed', fact: 'no server answers for this folder', remedy }];
  }
  const checks = Object.entries(reply.checks).map(([subject, outcome]): Finding => {
    if (outcome === 'ok') return { subject, state: 'ok', fact: 'answers' };
    const remedy = remedies[subject] ?? 'read the log of the server';
    return { subject, state: 'failed', fact: outcome, remedy };
  });
  return [{ subject: 'server', state: 'ok', fact: 'runs' }, ...checks, ...(await examineWork(config))];
}

const remedies: Readonly<Record<string, string>> = {
  keystore: 'wait: it is started again by itself; if it does not come back, the log of the server says why it ends',
};

async function examineWork(config: CloudConfig): Promise<readonly Finding[]> {
  const metrics = await askPrivate(config, '/metrics').catch(() => '');
  const valueOf = (name: string) => new RegExp(`^${name} (\\d+)$`, 'm').exec(metrics)?.[1];
  const unproved = examineUnproved(valueOf(UNPROVED_ARCHIVES_METRIC));
  return [examineJobs(valueOf(DEAD_JOBS_METRIC)), examineEscrow(valueOf(ROTTEN_SLOTS_METRIC)), unproved];
}

/** Archives whose newest escrow slot nobody could try for more than a day: whether it opens is not known. */
function examineUnproved(archives: string | undefined): Finding {
  const subject = 'new escrow';
  if (archives === '0') return { subject, state: 'ok', fact: 'no archive waits for more than a day to be tried' };
  if (archives === undefined)
    return { subject, state: 'warning', fact: 'cannot be counted', remedy: 'read the log of the server' };
  const remedy =
    'see that the keystore answers and opens its keys: the log of the server says why it does not; escrow.slot_unproved in the audit log names the archives';
  const fact = `the newest escrow slots of ${archives} archives were not tried for more than a day`;
  return { subject, state: 'warning', fact, remedy };
}

/** Slots that did not open when they were last tried: their archives cannot be recovered by escrow. */
function examineEscrow(rotten: string | undefined): Finding {
  const subject = 'escrow';
  if (rotten === '0') return { subject, state: 'ok', fact: 'every escrow slot that was tried opens' };
  if (rotten === undefined)
    return { subject, state: 'warning', fact: 'cannot be counted', remedy: 'read the log of the server' };
  const remedy =
    'the log of the server and escrow.slot_rotten in the audit log name them; until these computers have new escrow slots, keep their recovery codes safe';
  return { subject, state: 'failed', fact: `${rotten} escrow slots do not open`, remedy };
}

/** Jobs that failed for good: nobody tries them again, and what they were to do is not done. */
function examineJobs(dead: string | undefined): Finding {
  const subject = 'jobs';
  if (dead === '0') return { subject, state: 'ok', fact: 'none has failed for good' };
  const remedy = 'the log of the server says why each failed; they are kept 90 days in the queue dead';
  const fact = dead === undefined ? 'cannot be counted' : `${dead} failed for good`;
  return { subject, state: 'warning', fact, remedy };
}

async function askReadiness(config: CloudConfig): Promise<{ checks: Readiness }> {
  return JSON.parse(await askPrivate(config, '/readyz')) as { checks: Readiness };
}

/** What the private listener of a running server answers. */
async function askPrivate(config: CloudConfig, address: string): Promise<string> {
  const folder = openSocketHost(config.homeDir);
  const place = config.privateListen ?? { socketPath: path.join(folder.host, PRIVATE_SOCKET) };
  try {
    return await new Promise((resolve, reject) => {
      const request = http.get({ ...place, path: address, agent: false, timeout: 5_000 }, (reply) => {
        const chunks: Buffer[] = [];
        reply.on('data', (chunk: Buffer) => chunks.push(chunk));
        reply.on('end', () => resolve(Buffer.concat(chunks).toString()));
        reply.on('error', reject);
      });
      request.on('timeout', () => request.destroy(new Error('no answer')));
      request.on('error', reject);
    });
  } finally {
    folder.close();
  }
}

/** Says plainly what the roles' separate credentials are worth while one uid holds them all. */
async function examineReach(config: CloudConfig): Promise<Finding> {
  const below = (...names: readonly string[]) => path.join(config.homeDir, ...names);
  const files = [keysFileOf(config), below('tls', 'ca-key.pem'), below('tls', 'server.pem')];
  const present: string[] = [];
  for (const file of files)
    if (await stat(file).catch(() => undefined)) present.push(path.relative(config.homeDir, file));
  const whose = process.getuid ? `uid ${process.getuid()}` : 'this user';
  const fact = `${whose} alone opens the secrets of every role of this server (${present.join(', ')})`;
  return { subject: 'reach', state: 'ok', fact };
}
