// The page of which draw.mjs takes a picture: the panels of the dashboard, each in its place.
import {
  FieldColorModeId, FieldType, ThemeContext, applyFieldOverrides, createDataFrame, createTheme, dateTime,
  getFieldDisplayValues,
} from '@grafana/data';
import { BigValue, GlobalStyles, PanelChrome, TimeSeries, VizRepeater } from '@grafana/ui';
import { createRoot } from 'react-dom/client';

const { dashboard, range, step, width } = window.data;
const theme = createTheme({ colors: { mode: 'light' } });
const [from, to] = [dateTime(range.start * 1_000), dateTime(range.end * 1_000)];
const timeRange = { from, to, raw: { from, to } };
const timeZone = 'utc';
const replaceVariables = (text) => text;
/** The size of a cell of the dashboard, and the gap between two panels, in pixels. */
const CELL = { width: width / 24, height: 38, gap: 8 };
const HEIGHT = Math.max(...dashboard.panels.map(({ gridPos: { y, h } }) => y + h)) * CELL.height;
/** A line has a gap where it has no value. */
const TIMES = Array.from({ length: (range.end - range.start) / step + 1 }, (_, number) => range.start + number * step);

/** Returns the series of a panel, with the names, units and colours that Grafana gives them. */
function frames({ type, title, targets, fieldConfig: { defaults } }) {
  const color = { mode: type === 'stat' ? FieldColorModeId.Thresholds : FieldColorModeId.PaletteClassic };
  const frame = (legend, { metric, values }) => {
    const name = legend?.replace(/\{\{(.+?)\}\}/g, (_, label) => metric[label]);
    const config = { color, ...defaults, displayNameFromDS: name || title };
    const points = new Map(values);
    const value = (time) => (points.has(time) ? Number(points.get(time)) : null);
    return createDataFrame({
      fields: [
        { name: 'Time', type: FieldType.time, values: TIMES.map((time) => time * 1_000) },
        { name: 'Value', type: FieldType.number, values: TIMES.map(value), config },
      ],
    });
  };
  const data = targets.flatMap(({ series, legendFormat }) => series.map((one) => frame(legendFormat, one)));
  return applyFieldOverrides({ data, fieldConfig: { defaults: {}, overrides: [] }, theme, timeZone, replaceVariables });
}

function Panel({ panel }) {
  const { x, y, w, h } = panel.gridPos;
  const place = { position: 'absolute', left: x * CELL.width + CELL.gap / 2, top: y * CELL.height };
  if (panel.type === 'row') return <h4 style={{ ...place, padding: '6px 4px' }}>{panel.title}</h4>;
  const Content = panel.type === 'stat' ? Stat : Lines;
  return (
    <div style={place}>
      <PanelChrome title={panel.title} width={w * CELL.width - CELL.gap} height={h * CELL.height - CELL.gap}>
        {(width, height) => <Content panel={panel} width={width} height={height} />}
      </PanelChrome>
    </div>
  );
}

function Stat({ panel, width, height }) {
  const { reduceOptions, graphMode, colorMode, textMode = 'auto' } = panel.options;
  const sparkline = graphMode !== 'none';
  const options = { fieldConfig: panel.fieldConfig, reduceOptions, theme, timeZone, replaceVariables, sparkline };
  const getValues = () => getFieldDisplayValues({ data: frames(panel), ...options });
  const renderValue = ({ value: { display, sparkline }, width, height, count }) => (
    <BigValue value={display} {...{ sparkline, theme, width, height, count, graphMode, colorMode, textMode }} />
  );
  return <VizRepeater {...{ source: panel, getValues, renderValue, width, height, orientation: 'auto', renderCounter: 0 }} />;
}

function Lines({ panel, width, height }) {
  const legend = { showLegend: true, calcs: [], ...panel.options.legend };
  return <TimeSeries frames={frames(panel)} {...{ timeRange, timeZone, width, height, legend, options: panel.options }} />;
}

createRoot(document.getElementById('root')).render(
  <ThemeContext.Provider value={theme}>
    <GlobalStyles />
    <div style={{ position: 'relative', width, height: HEIGHT }}>
      {dashboard.panels.map((panel) => <Panel key={panel.id} panel={panel} />)}
    </div>
  </ThemeContext.Provider>,
);
