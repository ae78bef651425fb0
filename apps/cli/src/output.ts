import { styleText } from 'node:util';
import { CodedError, defineErrors, exitCodeOf } from '@holdfast/base';
import { coloursUnwanted } from './config.ts';
import { remedyFor } from './remedies.ts';

const outputErrors = defineErrors('output', {
  not_written: ['unavailable', 'What was to be shown could not be written'],
});

/** Where a command writes: text for people, or one JSON document for programs. */
export type Output = {
  readonly json: boolean;
  /** The result: `text` for people, or `value` as JSON, on standard output. */
  result(value: object, text: string): void;
  /** What goes on meanwhile, for people alone, on standard error. */
  note(text: string): void;
  /** Bold on a terminal, plain elsewhere. */
  strong(text: string): string;
};

type Streams = { readonly stdout: NodeJS.WriteStream; readonly stderr: NodeJS.WriteStream };

/** Output to the terminal, or as JSON where that was asked for. */
export function createOutput(json: boolean, streams: Streams = process): Output {
  const coloured = !json && streams.stdout.isTTY && !coloursUnwanted();
  return {
    json,
    result: (value, text) => void streams.stdout.write(json ? `${jsonText(value)}\n` : `${text}\n`),
    note: (text) => void (json || streams.stderr.write(`${text}\n`)),
    strong: (text) => (coloured ? styleText('bold', text, { stream: streams.stdout }) : text),
  };
}

/**
 * JSON in which what moves a terminal's cursor, or turns the direction of text, is written as an escape: the same value for
 * programs, and harmless where somebody looks at it.
 */
function jsonText(value: object): string {
  const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(value).replaceAll(/[\p{Cc}\p{Cf}]/gu, (text) => text.split('').map(escaped).join(''));
}

/**
 * Says on standard error what happened, to what, and what to do; returns the exit code of the error's kind, 1 for a bug.
 */
export function reportFailure(error: unknown, json: boolean, streams: Streams = process): number {
  const failure = describeFailure(error);
  streams.stderr.write(json ? `${jsonText({ error: failure })}\n` : failureText(failure));
  return error instanceof CodedError ? exitCodeOf[error.kind] : 1;
}

/**
 * Keeps what is written from ending the program where nobody reads it any more, as in `holdfast ls | head`; what cannot be
 * written for another reason is said on standard error, and `onLost` hears of it.
 */
export function outliveReaders(onLost: (exitCode: number) => void, streams: Streams = process): void {
  streams.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    onLost(reportFailure(outputErrors.not_written({ problem: error.message }, error), false, streams));
  });
  streams.stderr.on('error', () => undefined);
}

type Failure = {
  readonly code: string;
  readonly kind: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly remedy?: string;
};

function describeFailure(error: unknown): Failure {
  if (!(error instanceof CodedError)) {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const message = 'This is a fault of Holdfast itself; please report it with the lines below';
    return { code: 'internal', kind: 'internal', message, details: { stack } };
  }
  const { code, kind, message } = error;
  const { remedy: _own, ...details } = error.details;
  const remedy = remedyFor(error);
  return { code, kind, message, details, ...(remedy !== undefined && { remedy }) };
}

function failureText({ code, message, details, remedy }: Failure): string {
  const facts = Object.entries(details).filter(([, value]) => !isEmpty(value));
  const lines = facts.map(([name, value]) => `  ${name}: ${factText(value)}`);
  return [`holdfast: ${message} (${code})`, ...lines, ...(remedy ? [`What to do: ${remedy}`] : []), ''].join('\n');
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === '' || (Array.isArray(value) && value.length === 0);
}

function factText(value: unknown): string {
  if (Array.isArray(value)) return value.map(factText).join('\n    ');
  return typeof value === 'string' ? value.replaceAll('\n', '\n    ') : JSON.stringify(value);
}
