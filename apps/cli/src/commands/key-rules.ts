import { type Command, InvalidArgumentError } from 'commander';
import type { RulesChangeState } from '@holdfast/contract';
import { confirmed } from '../confirmed.ts';
import { commandErrors } from '../errors.ts';
import { timeText } from '../figures.ts';
import { createOutput } from '../output.ts';
import { asPerson, wholeHash } from './key-release.ts';

type WithKey = { readonly key: string; readonly json?: boolean };
type Rule = { readonly approvals: number; readonly delayHours: number; readonly notice: 'owner' | 'everyone' };
type Rules = { readonly own_restore: Rule; readonly admin_restore: Rule; readonly replacement: Rule };
type Change = WithKey & {
  readonly purpose: Purpose;
  readonly approvals?: number;
  readonly delay?: number;
  readonly notice?: Rule['notice'];
  readonly dryRun?: boolean;
  readonly yes?: boolean;
};

const purposes = { own: 'own_restore', other: 'admin_restore', replacement: 'replacement' } as const;
type Purpose = keyof typeof purposes;
const personOption = ['--key <file>', "a person's key (key person new)"] as const;

/** `holdfast key rules ...`: what a release of keys takes. */
export function registerKeyRules(key: Command): void {
  const rules = key
    .command('rules')
    .description('what a release of keys takes: approvals, delay, and who is shown it')
    .helpCommand(false);
  rules
    .command('show')
    .description('the rules in force, those that come, and the changes of them')
    .requiredOption(...personOption)
    .action(async ({ key: file, json }: WithKey) => {
      const found = await asPerson(file, (client) => client.rules());
      const coming = rulesText(found.next) === rulesText(found.inForce) ? [] : ['Later:', rulesText(found.next)];
      const lines = ['In force:', rulesText(found.inForce), ...coming, ...found.changes.map(changeText)];
      createOutput(json ?? false).result(found, lines.join('\n'));
    });
  rules
    .command('change')
    .description(
      'propose a change by approving it: what is stricter counts at once, what is weaker after the delay in force and a day at least',
    )
    .requiredOption(...personOption)
    .requiredOption('--purpose <which>', 'own, other or replacement: who asks for what', parsePurpose)
    .option('--approvals <number>', 'by how many persons, none of whom asks', wholeNumber(16))
    .option('--delay <hours>', 'between the leaf in the key log and the release', wholeNumber(720))
    .option('--notice <who>', 'owner or everyone: whose computers are shown it', parseNotice)
    .option('--dry-run', 'say what the rules would be, and propose nothing')
    .option('--yes', 'propose it without asking: all rules are signed, those too that the server says are there')
    .action(change);
  rules
    .command('approve <change>')
    .description('approve a change that somebody proposed, named by its whole hash as rules show says it')
    .requiredOption(...personOption)
    .action(async (name: string, { key: file, json }: WithKey) => {
      const state = await asPerson(file, async (client) => {
        const { changes } = await client.rules();
        return client.approveRules(oneOf(changes, wholeHash(name, 'rules show')).change);
      });
      createOutput(json ?? false).result(state, changeText(state));
    });
}

async function change({ key: file, purpose, approvals, delay, notice, dryRun, yes, json }: Change): Promise<void> {
  const output = createOutput(json ?? false);
  if (approvals === undefined && delay === undefined && notice === undefined) {
    const remedy = 'name what changes: --approvals, --delay, --notice';
    throw commandErrors.invalid({ reason: 'nothing would change', remedy });
  }
  return asPerson(file, async (client) => {
    const { next } = await client.rules();
    const name = purposes[purpose];
    const rule = {
      approvals: approvals ?? next[name].approvals,
      delayHours: delay ?? next[name].delayHours,
      notice: notice ?? next[name].notice,
    };
    const rules = { ...next, [name]: rule };
    if (dryRun)
      return output.result({ dryRun: true, rules }, `Nothing was proposed. It would be:\n${rulesText(rules)}`);
    // The other rules are what the server says: who signs them reads them first.
    if (!yes) await confirmed(`All rules would be:\n${rulesText(rules)}\nPropose that?`, output);
    const state = await client.proposeRules(rules);
    return output.result(state, changeText(state));
  });
}

function oneOf(changes: readonly RulesChangeState[], name: string): RulesChangeState {
  const found = changes.filter(({ changeSha256 }) => name !== '' && changeSha256.startsWith(name.toLowerCase()));
  if (found.length === 1) return found[0]!;
  const remedy = 'holdfast key rules show lists them: name enough of the beginning of one';
  throw commandErrors.invalid({ reason: `${found.length} changes begin with ${name}`, remedy });
}

const names = [
  ['own_restore', 'a computer for its own backups'],
  ['admin_restore', 'anybody else to read them'],
  ['replacement', 'to replace a computer'],
] as const;

function rulesText(rules: Rules): string {
  return names
    .map(([purpose, who]) => {
      const { approvals, delayHours, notice } = rules[purpose];
      const shown = notice === 'everyone' ? 'every computer of the tenant' : 'the computer concerned';
      return `  ${who}: ${approvals} approvals, ${delayHours} h delay, shown to ${shown}`;
    })
    .join('\n');
}

function changeText(state: RulesChangeState): string {
  const { rules } = JSON.parse(state.change) as { rules: Rules };
  const { changeSha256, number, approvals, approvalsNeeded, proposedAt } = state;
  const how = {
    logged: `leaf ${state.logIndex}`,
    refused: 'the keystore did not take it',
    proposed: `proposed, ${approvals.length} of ${approvalsNeeded} approvals`,
  }[state.state];
  return `Change ${number} ${changeSha256} of ${timeText(proposedAt)} (${how}):\n${rulesText(rules)}`;
}

function parsePurpose(text: string): Purpose {
  if (Object.hasOwn(purposes, text)) return text as Purpose;
  throw new InvalidArgumentError('It must be own, other or replacement.');
}

function parseNotice(text: string): Rule['notice'] {
  if (text === 'owner' || text === 'everyone') return text;
  throw new InvalidArgumentError('It must be owner or everyone.');
}

function wholeNumber(most: number): (text: string) => number {
  return (text) => {
    const number = /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN;
    if (number <= most) return number;
    throw new InvalidArgumentError(`It must be a number from 0 to ${most}.`);
  };
}
