import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { defineErrors } from '@holdfast/base';
import { agentStateDir, serviceStateDir } from '../agent-socket.ts';
import { findHome, homeToStart } from '../config.ts';
import { deviceFacts } from '../device-facts.ts';
import { createOutput } from '../output.ts';
import { ownFolderIn } from '../own-folder.ts';
import { expectOneWay, replaceDevice, type ReplaceOptions } from './agent-replace.ts';
import type { Enrollment } from '@holdfast/agent/cloud';

const enrollErrors = defineErrors('agent_enroll', {
  token_unreadable: ['not_found', 'The token file cannot be read'],
  no_token: ['invalid', 'An enrolment token is needed, and the address of its server'],
});

type Options = Partial<ReplaceOptions> & {
  readonly tokenFile?: string;
  readonly state?: string;
  readonly json?: boolean;
};

/** `holdfast agent enroll`: makes this computer a device of a server. */
export function registerAgentEnroll(agent: Command): void {
  agent
    .command('enroll [url]')
    .description('enrol this computer with a server, by a token file an administrator made')
    .option('--token-file <file>', 'the token; - reads standard input; not needed once this computer is enrolled')
    .option(
      '--replace <device>',
      'go on with the archive of that computer, which ends there; its identifier, or with a code its name',
    )
    .option(
      '--recovery-code',
      'prove it with the recovery code of its archive; it is asked for, or read as one line of standard input',
    )
    .option('--hand-over <file>', 'prove it with what the old computer answered: holdfast agent hand-over')
    .option('--approval <file>', 'prove it with what an administrator signed; one of the next four opens the archive')
    .option('--with-password', 'its archive key password, asked for or one line of standard input')
    .option('--with-custom-key', 'its custom key, on standard input')
    .option('--key-file <file>', 'a key file of it: holdfast key export')
    .option('--ring <file>', 'what was released from escrow for this computer: holdfast key release take')
    .option('--request <file>', 'write a request for the old computer or an administrator, a new file, and do no more')
    .option('--yes', 'do not ask before it is taken over')
    .option('--dry-run', 'say what would be taken over, and leave it where it is')
    .option(
      '--state <folder>',
      `folder of the agent's state (agent in HOLDFAST_HOME; ${serviceStateDir} for the service)`,
    )
    .action(async (url: string | undefined, options: Options) => {
      const { replace } = options;
      if (replace !== undefined) expectOneWay({ ...options, replace });
      const stateDir = stateDirOf(options.state);
      ownFolderIn(findHome(process.cwd()), stateDir);
      const output = createOutput(options.json ?? false);
      if (replace !== undefined) {
        const enrollment = await enrollmentOf(url, options, stateDir);
        return replaceDevice({ ...options, replace }, { enrollment, stateDir, output });
      }
      const { deviceUid, orgUid, tenantUid, url: server } = await enrollHere(url, options, stateDir);
      const facts = { deviceUid, orgUid, tenantUid, url: server, stateDir };
      const text = `Enrolled with ${server} as device ${deviceUid}.\nStart it: holdfast agent run`;
      return output.result(facts, text);
    });
}

async function enrollHere(url: string | undefined, { tokenFile }: Options, stateDir: string): Promise<Enrollment> {
  const { enroll, EnrollmentStore } = await import('@holdfast/agent/cloud');
  if (tokenFile === undefined || url === undefined) throw enrollErrors.no_token();
  const tokenText = readToken(tokenFile);
  return enroll({ ...deviceFacts(), tokenText, url }, new EnrollmentStore(stateDir));
}

/** The enrolment that is there, or a new one: a takeover is begun again where it broke off. */
async function enrollmentOf(url: string | undefined, options: Options, stateDir: string): Promise<Enrollment> {
  const { EnrollmentStore } = await import('@holdfast/agent/cloud');
  const { takeoverErrors } = await import('@holdfast/agent/takeover');
  const enrolled = new EnrollmentStore(stateDir).load();
  if (!enrolled && (url === undefined || options.tokenFile === undefined)) throw takeoverErrors.not_enrolled();
  const isElsewhere = enrolled && url !== undefined && new URL(enrolled.url).origin !== originOf(url);
  if (isElsewhere) throw takeoverErrors.enrolled_elsewhere({ url: enrolled.url });
  return enrolled ?? enrollHere(url, options, stateDir);
}

function originOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).origin : undefined;
}

function readToken(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : path.resolve(file), 'utf8');
  } catch (error) {
    throw enrollErrors.token_unreadable({ file }, error);
  }
}

function stateDirOf(state: string | undefined): string {
  if (state !== undefined) return path.resolve(state);
  const isRoot = process.geteuid?.() === 0;
  const homeDir = findHome(process.cwd()) ?? (isRoot ? undefined : homeToStart(process.cwd()));
  return homeDir === undefined ? serviceStateDir : agentStateDir(homeDir);
}
