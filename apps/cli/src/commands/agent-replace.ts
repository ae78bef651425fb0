/** `holdfast agent enroll --replace`: a new computer goes on with the archive of an old one. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { FoundArchive, TakeoverMeans } from '@holdfast/agent/takeover';
import type { Enrollment } from '@holdfast/agent/cloud';
import { defineErrors } from '@holdfast/base';
import { confirm } from '../confirm.ts';
import { deviceFacts } from '../device-facts.ts';
import type { Output } from '../output.ts';
import { readAll, readPassword } from '../read-secret.ts';
import { writeNewFile } from './new-file.ts';
import { doneText, foundText } from './takeover-text.ts';

const replaceErrors = defineErrors('agent_enroll', {
  means: ['invalid', 'To replace a computer takes one proof: a recovery code, a hand-over or an approval'],
  file_unreadable: ['not_found', 'A file that was named cannot be read'],
  request_exists: ['conflict', 'There is a file of that name already'],
  request_not_written: ['unavailable', 'The request could not be written'],
});

/** What `--replace` is asked with. */
export type ReplaceOptions = {
  readonly replace: string;
  readonly recoveryCode?: boolean;
  readonly handOver?: string;
  readonly approval?: string;
  readonly withPassword?: boolean;
  readonly withCustomKey?: boolean;
  readonly keyFile?: string;
  readonly ring?: string;
  readonly request?: string;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
};

/** Which one of the ways it is. @throws agent_enroll.means before anything was done */
export function expectOneWay(options: ReplaceOptions): void {
  const { recoveryCode, handOver, approval, request, withPassword, withCustomKey, keyFile, ring } = options;
  const ways = [recoveryCode, handOver, approval, request].filter((way) => way !== undefined).length;
  const keys = [withPassword, withCustomKey, keyFile, ring].filter((key) => key !== undefined).length;
  if (ways !== 1 || keys !== (approval === undefined ? 0 : 1)) throw replaceErrors.means();
}

/** Writes the request, or takes the archive over. */
export async function replaceDevice(
  options: ReplaceOptions,
  {
    enrollment,
    stateDir,
    output,
  }: { readonly enrollment: Enrollment; readonly stateDir: string; readonly output: Output },
): Promise<void> {
  const { replace: device, request } = options;
  if (request !== undefined) return writeRequest(request, { enrollment, stateDir, output, device });
  const { takeOverArchive, takeoverErrors } = await import('@holdfast/agent/takeover');
  const { CloudClient } = await import('@holdfast/agent/cloud');
  const means = await readMeans(options);
  const { agentVersion, os, proxyEnv } = deviceFacts();
  const client = new CloudClient(enrollment, { proxyEnv });
  let found: FoundArchive | undefined;
  const ask = async (shown: FoundArchive) => {
    found = shown;
    output.note(foundText(shown));
    if (options.dryRun) return false;
    return options.yes === true || (await confirm('Go on with it on this computer?'));
  };
  try {
    await takeOverArchive({ client, stateDir, device, means, agentVersion, os, confirm: ask }).catch(
      (error: unknown) => {
        const isDry =
          options.dryRun && found && (error as { code?: string }).code === takeoverErrors.not_confirmed.code;
        if (!isDry) throw error;
      },
    );
  } finally {
    client.close();
  }
  if (!found) return;
  const facts = {
    ...shownFacts(found),
    deviceUid: enrollment.deviceUid,
    stateDir,
    ...(options.dryRun && { dryRun: true }),
  };
  output.result(facts, options.dryRun ? 'Nothing was taken over.' : doneText(found));
}

async function writeRequest(
  file: string,
  about: {
    readonly enrollment: Enrollment;
    readonly stateDir: string;
    readonly output: Output;
    readonly device: string;
  },
): Promise<void> {
  const { requestHandOver, formatRequest, fingerprintOf } = await import('@holdfast/agent/takeover');
  const request = requestHandOver({ ...about, name: deviceFacts().hostname });
  const errors = { exists: replaceErrors.request_exists, not_written: replaceErrors.request_not_written };
  writeNewFile(path.resolve(file), formatRequest(request), errors);
  const fingerprint = fingerprintOf(request);
  const text = `The request is ${path.resolve(file)}, its fingerprint ${fingerprint}.
Carry it to the old computer, and there: holdfast agent hand-over FILE --out ANSWER
Then here: holdfast agent enroll --replace ${about.device} --hand-over ANSWER
Or to an administrator, and there: holdfast key takeover approve FILE --key KEY --out APPROVAL
Then here: holdfast agent enroll --replace ${about.device} --approval APPROVAL, with what opens the archive`;
  about.output.result({ file: path.resolve(file), fingerprint, deviceUid: request.newDeviceUid }, text);
}

async function readMeans(options: ReplaceOptions): Promise<TakeoverMeans> {
  const { handOver, approval } = options;
  if (handOver !== undefined) return { kind: 'hand_over', text: readFile(handOver) };
  if (approval === undefined) {
    const { parseRecoveryCode } = await import('@holdfast/trust');
    const secret = parseRecoveryCode(await readPassword({ ask: 'Recovery code (24 words): ' }));
    return { kind: 'recovery_code', secret };
  }
  const { openApproval } = await import('@holdfast/agent/takeover');
  return { kind: 'approval', proof: openApproval(readFile(approval)), access: await readAccess(options) };
}

type ApprovalAccess = Extract<TakeoverMeans, { readonly kind: 'approval' }>['access'];

async function readAccess({ withPassword, keyFile, ring }: ReplaceOptions): Promise<ApprovalAccess> {
  if (ring !== undefined) return { kind: 'released_ring', text: readFile(ring) };
  if (keyFile !== undefined) return { kind: 'key_file', text: readFile(keyFile) };
  if (withPassword) return { kind: 'password', password: await readPassword({ ask: 'Archive key password: ' }) };
  const { parseCustomKey } = await import('@holdfast/trust');
  return { kind: 'custom_key', key: parseCustomKey(await readAll()) };
}

function readFile(file: string): string {
  try {
    return readFileSync(path.resolve(file), 'utf8');
  } catch (error) {
    throw replaceErrors.file_unreadable({ file }, error);
  }
}

function shownFacts({ takeover, contents, opened }: FoundArchive) {
  const { archiveId, device, proof, storedBytes, completedAt } = takeover;
  const { sets, unreadSets, head } = contents;
  return {
    archiveId,
    proof,
    replaced: device,
    storedBytes,
    completedAt,
    head: head ? { number: head.number, at: new Date(head.atMs).toISOString() } : null,
    sets: sets.map(({ name, includes }) => ({ name, includes })),
    unreadSets,
    keepsSlots: opened.hasCarriedSlots,
    problems: opened.problems.map(({ problem }) => problem),
  };
}
