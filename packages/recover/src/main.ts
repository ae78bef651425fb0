import { readFileSync } from 'node:fs';
import process, { argv, stderr, stdout } from 'node:process';
import { parseArgs } from 'node:util';
import { describeError, RecoverError, type RecoverErrorKind, systemCode } from './errors.ts';
import {
  type At,
  displayPath,
  listArchive,
  type ListedEntry,
  pathToJson,
  recover,
  type RecoverReport,
  reportToJson,
  reportToText,
  type Secret,
} from './index.ts';

const usage = `usage: node main.ts DIR SECRET (--to OUT | --list | --dry-run)
  SECRET is one of these; - as a file is the input
  --key FILE                   a key file (key export)
  --recovery-code-file FILE    the 24 words
  --password-file FILE         the archive key password; a line end behind it does not count
  --read-keys FILE             the keys of a release, which read the epochs they name
  --custom-key FILE            the custom key: 64 hexadecimal digits, or 44 characters of base64
  [--at TIME|commit:N]   the state at a time (RFC 3339) or a commit; the newest where it is left out
  [--path PATH]...       only this path and what is below it
  [--partial]            keep what could be saved of damaged files as NAME.partial
  [--setuid]             give setuid and setgid bits and security.* attributes back
  [--password-tries N]   how many different password slots are tried before the rest is left as forged; 16
  [--keyring SHA256]     read the line that ends in this keyring; the beginning of its hash is enough
  [--unproven]           take commits behind a gap and loose leaves too
  [--json]               the report as JSON
exit: 0 complete and proven, 3 something is lost or unproven, 2 invalid request or secret, 4 not found,
      5 corrupt beyond reading, 6 a file or the target cannot be used
`;

const exitCodes: Readonly<Record<RecoverErrorKind, number>> = {
  invalid: 2,
  unauthenticated: 2,
  not_found: 4,
  corrupt: 5,
  conflict: 6,
  exhausted: 6,
  unavailable: 6,
};

function readOptions() {
  return parseArgs({
    args: argv.slice(2),
    allowPositionals: true,
    options: {
      key: { type: 'string' },
      'recovery-code-file': { type: 'string' },
      'password-file': { type: 'string' },
      'custom-key': { type: 'string' },
      'read-keys': { type: 'string' },
      to: { type: 'string' },
      at: { type: 'string' },
      path: { type: 'string', multiple: true },
      list: { type: 'boolean', default: false },
      'dry-run': { type: 'boolean', default: false },
      partial: { type: 'boolean', default: false },
      setuid: { type: 'boolean', default: false },
      'password-tries': { type: 'string' },
      keyring: { type: 'string' },
      unproven: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
}

type Options = ReturnType<typeof readOptions>['values'];

function invalid(field: string, what: string): RecoverError {
  return new RecoverError('request.invalid', { field, what });
}

/** The options that name a secret, and what the text of the file is. */
const secrets = {
  key: (keyFile: string): Secret => ({ keyFile }),
  'read-keys': (readKeys: string): Secret => ({ readKeys }),
  'recovery-code-file': (recoveryCode: string): Secret => ({ recoveryCode }),
  'password-file': (text: string): Secret => ({ password: text.replace(/\r?\n$/, '') }),
  'custom-key': (customKey: string): Secret => ({ customKey }),
} as const;

function readSecret(options: Options): Secret {
  const names = Object.keys(secrets) as (keyof typeof secrets)[];
  const [name, ...more] = names.filter((one) => options[one] !== undefined);
  if (name === undefined || more.length > 0)
    throw invalid('key', `give one of ${names.map((one) => `--${one}`).join(', ')}`);
  return secrets[name](readText(options[name]!));
}

function readText(file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file === '-' ? 0 : file));
  } catch (cause) {
    const what = `the secret cannot be read: ${systemCode(cause)}`;
    throw new RecoverError('request.invalid', { field: 'key', what }, { cause });
  }
}

function readAt(text: string | undefined): At {
  if (text === undefined) return undefined;
  const commit = /^commit:(\d{1,15})$/.exec(text)?.[1];
  if (commit !== undefined) return { commit: Number(commit) };
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) throw invalid('at', `not a time: ${text}`);
  return at;
}

function readTries({ 'password-tries': text, 'password-file': passwordFile }: Options): {
  readonly passwordTries?: number;
} {
  if (text === undefined) return {};
  if (passwordFile === undefined) throw invalid('password-tries', 'it goes with --password-file');
  if (!/^\d{1,5}$/.test(text)) throw invalid('password-tries', `not a number: ${text}`);
  return { passwordTries: Number(text) };
}

function readFolder(positionals: readonly string[]): string {
  const [folder, ...rest] = positionals;
  if (folder === undefined || rest.length > 0) throw invalid('DIR', 'give one archive folder');
  return folder;
}

async function run(): Promise<number> {
  const { values: options, positionals } = readOptions();
  const at = readAt(options.at);
  const request = {
    folder: readFolder(positionals),
    secret: readSecret(options),
    unproven: options.unproven,
    ...(at === undefined ? {} : { at }),
    ...(options.keyring === undefined ? {} : { keyring: options.keyring }),
    ...(options.path === undefined ? {} : { paths: options.path }),
    ...readTries(options),
  };
  if (options.list) {
    const listing = await listArchive({
      ...request,
      onEntry: (entry) => stdout.write(`${options.json ? entryJson(entry) : entryText(entry)}\n`),
    });
    for (const moment of listing.moments.slice(-20))
      if (!options.json) stdout.write(`commit ${moment.commit}: ${moment.at ?? 'unknown time'}\n`);
    return finish(listing.report, options);
  }
  if (!options['dry-run'] && options.to === undefined) throw invalid('to', 'give --to OUT, --list or --dry-run');
  const to = options.to === undefined ? {} : { outDir: options.to };
  const { setuid, partial: keepPartial, 'dry-run': dryRun } = options;
  return finish(await recover({ ...request, ...to, setuid, keepPartial, dryRun }), options);
}

function finish(report: RecoverReport, options: Options): number {
  stdout.write(options.json ? `${JSON.stringify(reportToJson(report))}\n` : reportToText(report));
  return report.complete && report.proven ? 0 : 3;
}

function entryText(entry: ListedEntry): string {
  const size = entry.sizeBytes === undefined ? '-' : String(entry.sizeBytes);
  const target = entry.target === undefined ? '' : ` -> ${displayPath(entry.target)}`;
  return [
    entry.type,
    (entry.mode ?? 0).toString(8).padStart(4, '0'),
    size,
    entry.modifiedAt ?? '-',
    `${displayPath(entry.path)}${target}`,
  ].join('\t');
}

function entryJson(entry: ListedEntry): string {
  const { path, target, ...rest } = entry;
  return JSON.stringify({
    ...pathToJson(path),
    ...rest,
    ...(target === undefined ? {} : { target: displayPath(target) }),
  });
}

try {
  process.exitCode = await run();
} catch (error) {
  if (error instanceof RecoverError) {
    stderr.write(`${describeError(error)}\n`);
    process.exitCode = exitCodes[error.kind];
  } else if (systemCode(error).startsWith('ERR_PARSE_ARGS')) {
    stderr.write(`${String(error)}\n${usage}`);
    process.exitCode = 2;
  } else throw error;
}
