import { type Command, InvalidArgumentError } from 'commander';
import { defineErrors } from '@holdfast/base';
import { absolutePath } from '../agent-socket.ts';
import { commandErrors } from '../errors.ts';
import { createOutput } from '../output.ts';
import { asPerson } from './key-release.ts';
import { confirmedRequest } from './new-computer.ts';
import { writeNewFile } from './new-file.ts';
import { approvedText } from './takeover-text.ts';

const approvalErrors = defineErrors('takeover_approval', {
  exists: ['conflict', 'There is a file of that name already'],
  not_written: ['unavailable', 'The approval could not be written'],
});

type Options = {
  readonly key: string;
  readonly out: string;
  readonly archive?: string;
  readonly days: number;
  readonly yes?: boolean;
  readonly json?: boolean;
};

/** `holdfast key takeover ...`: an administrator's word that a new computer may go on with an old one's archive. */
export function registerKeyTakeover(key: Command): void {
  const takeover = key
    .command('takeover')
    .description('a new computer in place of one that is gone: what an administrator signs for it')
    .helpCommand(false);
  takeover
    .command('approve <request>')
    .description(
      'sign that the computer which wrote this request (agent enroll --replace DEVICE --request FILE) may go on with the archive of the other; it opens nothing',
    )
    .requiredOption('--key <file>', "a person's key that may approve, and could for a day (key person new)")
    .requiredOption('--out <file>', 'a new file for the new computer, which is of use to that one alone')
    .option(
      '--archive <name>',
      'whose: the name of the old computer, its id, or that of the archive; what the request names, where left out',
    )
    .option('--days <number>', 'how long it counts, 1 to 7', parseDays, 7)
    .option('--yes', 'the fingerprint on the screen of the new computer is the one of this request')
    .action(approve);
}

async function approve(file: string, options: Options): Promise<void> {
  const output = createOutput(options.json ?? false);
  const { formatApproval } = await import('@holdfast/agent/takeover');
  const request = await confirmedRequest(file, options, output);
  const { newDeviceKey, installationId, tenantUid, fingerprint } = request;
  const wanted = { archive: options.archive ?? request.device, newDeviceKey, days: options.days };
  const approved = await asPerson(options.key, (client, card) => {
    if (card.installationId !== installationId || card.tenantUid !== tenantUid) {
      const remedy = 'use the key that was registered with the server and the tenant of that computer';
      throw commandErrors.invalid({ reason: 'the request is of another server or tenant', remedy });
    }
    return client.approveTakeover(wanted);
  });
  const { proof, ...facts } = approved;
  const out = absolutePath(options.out);
  writeNewFile(out, formatApproval(proof), approvalErrors);
  const { newDeviceUid: deviceUid, name } = request;
  output.result(
    { file: out, fingerprint, ...facts, newDevice: { deviceUid, name } },
    approvedText(out, { ...facts, name }),
  );
}

function parseDays(text: string): number {
  const days = /^\d$/.test(text) ? Number(text) : Number.NaN;
  if (days >= 1 && days <= 7) return days;
  throw new InvalidArgumentError('It must be a number from 1 to 7.');
}
