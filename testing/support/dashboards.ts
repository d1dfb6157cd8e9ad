/** The dashboards of deploy/grafana as data: what a test needs of Grafana's JSON. */
import { globSync } from 'node:fs';
import { basename } from 'node:path';
import { ROOT, readText } from '../architecture/sources.ts';

export interface Place {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: Place;
  readonly collapsed?: boolean;
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly fieldConfig?: {
    readonly defaults: {
      readonly unit: string;
      readonly thresholds: { readonly steps: readonly { readonly value: number | null }[] };
    };
  };
  readonly targets?: readonly {
    readonly refId: string;
    readonly expr: string;
    readonly datasource: { readonly uid: string };
  }[];
}

export interface Dashboard {
  readonly id: null;
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: {
    readonly list: readonly {
      readonly name: string;
      readonly type: string;
      readonly definition?: string;
    }[];
  };
  readonly annotations: { readonly list: readonly { readonly expr?: string }[] };
}

/** By file name. */
export const DASHBOARDS: ReadonlyMap<string, Dashboard> = new Map(
  globSync('deploy/grafana/*.json', { cwd: ROOT })
    .sort()
    .map((file) => [basename(file), JSON.parse(readText(file))]),
);

export interface PanelQuery {
  /** For messages: dashboard, panel. */
  readonly place: string;
  readonly panel: string;
  /** As Prometheus would be asked. */
  readonly expr: string;
}

/** What Grafana puts in the place of its variables. */
const VARIABLES: Readonly<Record<string, string>> = {
  $__rate_interval: '1m',
  $__interval: '15s',
  $__range: '1h',
  $job: 'quorate',
  $instance: '.*',
};

/** Throws at a variable that Grafana would not know either. */
export function substitute(expr: string): string {
  return expr.replace(/\$\{?(\w+)\}?/g, (written) => {
    const value = VARIABLES[written];
    if (value === undefined) throw new Error(`expected a variable that there is, got ${written}`);
    return value;
  });
}

/** Every query, those of annotations included. */
export function queriesOf({ title, panels, annotations }: Dashboard): readonly PanelQuery[] {
  const asked = panels.flatMap((panel) =>
    (panel.targets ?? []).map(({ expr }) => ({ panel: panel.title, expr })),
  );
  const marked = annotations.list.flatMap(({ expr }) =>
    expr === undefined ? [] : [{ panel: 'annotation', expr }],
  );
  return [...asked, ...marked].map(({ panel, expr }) => ({
    place: `${title}, ${panel}`,
    panel,
    expr: substitute(expr),
  }));
}
