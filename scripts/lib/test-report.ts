/**
 * Turns the events of a test run into what a person reads: a line for each file as it ends, failures
 * in full, and at the end the skipped tests with their reasons. Whether to fail is `run-tests`'.
 */
import { relative } from 'node:path';
import type { TestEvent } from 'node:test/reporters';
import { inspect, styleText } from 'node:util';

export interface SkippedTest {
  readonly name: string;
  readonly file: string;
  readonly reason: string;
}

interface FileRecord {
  readonly output: string[];
  tests: number;
  failed: number;
  seconds: number;
}

/** A failure that only says that a test inside it failed. */
const ECHO = 'subtestsFailed';

export class TestReport {
  readonly #root: string;
  readonly #print: (line: string) => void;
  readonly #files = new Map<string, FileRecord>();
  readonly skipped: SkippedTest[] = [];
  /** `file: name: what went wrong`, a line each. */
  readonly failures: string[] = [];
  /** What the runner itself warns of. */
  readonly warnings: string[] = [];
  tests = 0;

  constructor({ root, print }: { root: string; print: (line: string) => void }) {
    this.#root = root;
    this.#print = print;
  }

  accept({ type, data }: TestEvent): void {
    switch (type) {
      case 'test:stdout':
      case 'test:stderr':
        this.#record(data.file).output.push(data.message);
        return;
      case 'test:pass':
      case 'test:fail':
        this.#finished(type === 'test:pass', data);
        return;
      case 'test:diagnostic':
        if (data.message.startsWith('Warning')) this.warnings.push(data.message);
        return;
      case 'test:summary':
        if (data.file !== undefined) this.#fileEnded(data.file, data.duration_ms / 1000);
    }
  }

  /** Paths of files that took longest, as lines. */
  slowest(count: number): string[] {
    return [...this.#files]
      .sort(([, a], [, b]) => b.seconds - a.seconds)
      .slice(0, count)
      .map(([file, { seconds }]) => `${seconds.toFixed(1).padStart(7)} s  ${file}`);
  }

  #finished(
    passed: boolean,
    data: Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>['data'],
  ): void {
    const { name, details } = data;
    const file = this.#path(data.file);
    const record = this.#record(data.file);
    const reason = data.skip ?? data.todo;
    if (details.type !== 'suite') {
      this.tests++;
      record.tests++;
    }
    if (reason !== undefined && reason !== false) {
      this.skipped.push({
        name,
        file,
        reason: typeof reason === 'string' && reason !== '' ? reason : 'no reason given',
      });
      return;
    }
    if (passed || !('error' in details) || failureType(details.error) === ECHO) return;
    record.failed++;
    // A file that ends before its tests do (or never ends) is reported under its own path.
    const isWholeFile = name === data.file;
    const title = isWholeFile ? wholeFile(details.error) : name;
    this.failures.push(`${file}: ${title}: ${firstLine(details.error)}`);
    this.#print(`\n${styleText('red', `✗ ${title}`)}\n  ${file}:${data.line ?? '?'}`);
    if (isWholeFile) this.#printOutput(record);
    else this.#print(indent(describe(details.error)));
  }

  #fileEnded(path: string, seconds: number): void {
    const record = this.#record(path);
    record.seconds = seconds;
    const mark = record.failed === 0 ? styleText('green', '✓') : styleText('red', '✗');
    const tests = `${record.tests} ${record.tests === 1 ? 'test ' : 'tests'}`.padStart(10);
    this.#print(`${mark}${tests} ${seconds.toFixed(1).padStart(6)} s  ${this.#path(path)}`);
    if (record.failed > 0) this.#printOutput(record);
  }

  #printOutput({ output }: FileRecord): void {
    if (output.length === 0) return;
    this.#print(styleText('dim', '  what it wrote:'));
    this.#print(indent(output.join('').trimEnd().slice(-8000)));
  }

  #record(path: string | undefined): FileRecord {
    const file = this.#path(path);
    const known = this.#files.get(file);
    if (known !== undefined) return known;
    const record: FileRecord = { output: [], tests: 0, failed: 0, seconds: 0 };
    this.#files.set(file, record);
    return record;
  }

  #path(path: string | undefined): string {
    return path === undefined ? '?' : relative(this.#root, path);
  }
}

function failureType(error: Error): unknown {
  return 'failureType' in error ? error.failureType : undefined;
}

function wholeFile(error: Error): string {
  return failureType(error) === 'testAborted'
    ? 'the file did not end'
    : 'the file failed outside its tests';
}

/** The thrown value itself; node:test wraps it. */
function describe(error: Error): string {
  return inspect(error.cause ?? error, { depth: 4 });
}

function firstLine(error: Error): string {
  const { cause = error } = error;
  return (cause instanceof Error ? cause.message : inspect(cause)).split('\n', 1)[0] ?? '';
}

function indent(text: string): string {
  return text.replace(/^/gm, '  ');
}
