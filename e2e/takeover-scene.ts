/** An old computer that backs up to a server, and a new one that is to go on with its archive. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { parseKeyring, RecordKind, splitRecord } from '@holdfast/archive';
import { folderSource } from '@holdfast/archive/testing';
import type { EnrollmentToken } from '@holdfast/contract';
import { type AgentOfDevice, startAgentOf } from './agent-of-device.ts';
import { statusOf } from './agent-status.ts';
import { archiveFolder, hasty } from './escrowed-device.ts';
import { holdfastJson } from './holdfast-command.ts';
import { until } from './process-tree.ts';
import { enrollDevice, newFolder, type RunningCloud, startRunningCloud } from './running-cloud.ts';

/** Runs `holdfast agent enroll --replace` on the new computer. */
export type Replace = (args: readonly string[], input?: string) => ReturnType<typeof holdfastJson>;

/** Whether every set is protected at every destination. */
export const isProtected = async (agent: AgentOfDevice) =>
  (await statusOf(agent)).standings.every(({ state }) => state === 'protected');
/** Waits for that. */
export const untilProtected = (agent: AgentOfDevice) =>
  until(() => isProtected(agent), 'everything to be protected', 60_000);

/** An old computer that has backed up files of every length, and a new one with an enrolment token; `withServer` comes before both. */
export async function startScene(
  t: TestContext,
  withServer: (running: RunningCloud) => Promise<void> = async () => undefined,
) {
  const running = await startRunningCloud(t);
  const tenant = await running.addTenant('home');
  await withServer(running);
  const device = await enrollDevice(t, tenant);
  const files = newFolder(t);
  mkdirSync(path.join(files, 'sub'));
  for (const [name, length] of Object.entries({ small: 300, 'sub/middle': 40_000, 'sub/long': 3_000_000 }))
    writeFileSync(path.join(files, name), randomBytes(length));
  const old = await startAgentOf(t, device, { clock: hasty, files });
  await untilProtected(old);
  const { code } = (await old.ask('key.show-recovery')) as unknown as { readonly code: string };
  await old.ask('key.confirm-recovery', { code });
  const { archiveId } = (await old.ask('key.list')) as unknown as { readonly archiveId: string };
  const folder = archiveFolder(running, tenant, archiveId);
  const newState = path.join(newFolder(t), 'state');
  const tokenFile = path.join(newFolder(t), 'token');
  const invite = async () => writeToken(tokenFile, await tenant.invite());
  const replace: Replace = (args, input) =>
    holdfastJson(
      '/nowhere',
      ['agent', 'enroll', running.cloud.url, '--token-file', tokenFile, '--state', newState, ...args],
      input,
    );
  await invite();
  const startNew = (of: Parameters<typeof startAgentOf>[2] = {}) =>
    startAgentOf(t, { stateDir: newState }, { clock: hasty, files: newFolder(t), ...of });
  return { running, tenant, device, files, old, code, folder, archiveId, newState, replace, invite, startNew };
}

function writeToken(file: string, token: EnrollmentToken): void {
  writeFileSync(file, JSON.stringify(token));
}

/** The same files as on another disk: other inodes, and times of change that are later. */
export function asOnAnotherDisk(files: string): void {
  cpSync(files, `${files}.copy`, { recursive: true, preserveTimestamps: true });
  rmSync(files, { recursive: true });
  renameSync(`${files}.copy`, files);
}

/** How many records of files' contents there are, and the writers of the newest keyring and the kinds of its slots. */
export async function storedIn(folder: string) {
  const source = await folderSource(folder, path.basename(folder));
  try {
    let contents = 0;
    for (const kind of [RecordKind.block, RecordKind.bundle])
      for await (const ordinal of source.ordinalsOf(kind)) contents += ordinal > 0 ? 1 : 0;
    const keyrings = [];
    for await (const ordinal of source.ordinalsOf(RecordKind.keyring)) {
      const { header, open } = splitRecord((await source.read(ordinal))!);
      keyrings.push({ epoch: header.epoch, ...parseKeyring(open) });
    }
    const newest = keyrings.toSorted((a, b) => a.number - b.number).at(-1);
    assert.ok(newest);
    const writers = newest.writers.map(({ origin, introduction }) => [origin, introduction !== undefined]);
    const slots = newest.slots.map(({ kind }) => kind);
    return { contents, epoch: newest.epoch, writers, slots };
  } finally {
    await source.close();
  }
}

/** The code of the error that a command ended with. */
export const codeIn = ({ value }: { readonly value: Record<string, unknown> }) =>
  (value['error'] as { code?: string } | undefined)?.code;
