'use strict';

(() => {
  const runs = JSON.parse(document.getElementById('data').textContent).runs;

  // Readable on white and on black; further runs go round the colour wheel by the golden angle.
  const PALETTE =
      ['#3d85c6', '#e07b28', '#3a9d6e', '#cf4d5e', '#8e6fc4', '#a5784d', '#d071ad', '#7d8a94', '#a39b2d', '#2aa3b3'];
  const colour = (i) => PALETTE[i] || `hsl(${Math.round(i * 137.508) % 360}, 48%, 52%)`;

  // Plotly reads tags in its labels; here they are only text.
  const plain = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
  const shorten = (text, length) => text.length > length ? text.slice(0, length - 1) + '…' : text;
  const checked = (id) => document.getElementById(id).checked;
  const percent = (value) => value === null ? null : 100 * value;

  // Where runs were measured on different images, their names say on which.
  const onImages = ({images}) => `${images.dataset} ${images.split}`;
  const mixed = new Set(runs.map(onImages)).size > 1;
  const nameOf = (run) => mixed ? `${run.name} (${onImages(run)})` : run.name;

  // The symbol stands alone where there is one epoch.
  const TRAINING = {dash: 'dash', symbol: 'circle-open', what: 'training'};
  const VALIDATION = {dash: 'solid', symbol: 'circle', what: 'validation'};

  const hidden = new Set();
  const lastEpoch = Math.max(0, ...runs.flatMap((run) => run.replicates.flatMap(({epochs}) => epochs.epoch.slice(-1))));
  const hasCurves = lastEpoch > 0;

  function theme() {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    return {text: read('--text'), muted: read('--muted'), grid: read('--grid'), surface: read('--surface')};
  }

  function layout(extra) {
    const {text, muted, grid, surface} = theme();
    const axis = {gridcolor: grid, linecolor: grid, zeroline: false, automargin: true};
    const titled = ({title, ...rest}) => title ? {...rest, title: {text: title, font: {color: muted}, standoff: 8}} : rest;
    return {
      paper_bgcolor: surface,
      plot_bgcolor: surface,
      font: {family: getComputedStyle(document.body).fontFamily, size: 12, color: text},
      margin: {l: 52, r: 20, t: 40, b: 52},
      showlegend: false,
      hoverlabel: {namelength: -1},
      ...extra,
      xaxis: {...axis, ...titled(extra.xaxis)},
      yaxis: {...axis, ...titled(extra.yaxis)},
    };
  }

  const config = {
    responsive: true,
    displaylogo: false,
    displayModeBar: false,
  };

  const narrow = () => document.body.clientWidth <= 640;

  function drawBars() {
    const {text} = theme();
    const rows = runs.map((run, i) => ({run, i})).filter(({run}) => run.accuracy.mean !== null);
    const seeds = rows.flatMap(
        ({run, i}) => run.replicates.filter((replicate) => replicate.accuracy !== null)
                          .map((replicate) => ({i, replicate})));
    const ends = rows.flatMap(({run}) => [-1, 1].map((sign) => percent(run.accuracy.mean + sign * run.accuracy.std)))
                     .concat(seeds.map(({replicate}) => percent(replicate.accuracy)));
    const low = Math.min(...ends);
    const high = Math.max(...ends);
    const whole = checked('from-zero') || rows.length < 2;
    const start = whole ? 0 : Math.max(0, Math.floor(low - 0.5 * Math.max(high - low, 5)));
    const label = (run) => run.accuracy.mean === null ? '' :
        (100 * run.accuracy.mean).toFixed(2) + (run.accuracy.std === null ? '' : ' ± ' + (100 * run.accuracy.std).toFixed(2));
    const several = seeds.filter(({i}) => runs[i].replicates.length > 1);
    const spread = rows.filter(({run}) => run.accuracy.std !== null);
    const traces = [
      {
        type: 'bar',
        orientation: 'h',
        y: rows.map(({i}) => i),
        x: rows.map(({run}) => percent(run.accuracy.mean) - start),
        base: start,
        width: 0.62,
        marker: {color: rows.map(({i}) => colour(i)), opacity: 0.85},
        hovertext: rows.map(({run}) => `<b>${plain(nameOf(run))}</b><br>${label(run)} %`),
        hoverinfo: 'text',
      },
      {
        type: 'scatter',
        mode: 'markers',
        y: spread.map(({i}) => i),
        x: spread.map(({run}) => percent(run.accuracy.mean)),
        marker: {size: 0.1, color: text},
        error_x: {array: spread.map(({run}) => percent(run.accuracy.std)), color: text, thickness: 1.3, width: 5},
        hoverinfo: 'skip',
      },
      {
        type: 'scatter',
        mode: 'markers',
        // Spread over the height of the bar, so that equal values stay apart.
        y: several.map(({i, replicate}) => {
          const all = runs[i].replicates;
          return i + 0.34 * ((all.indexOf(replicate) + 0.5) / all.length - 0.5);
        }),
        x: several.map(({replicate}) => percent(replicate.accuracy)),
        marker: {size: narrow() ? 4 : 6, color: several.map(({i}) => colour(i)), line: {width: 1.2, color: text}},
        hovertext: several.map(
            ({i, replicate}) =>
                `${plain(nameOf(runs[i]))}, seed ${replicate.seed}<br>${percent(replicate.accuracy).toFixed(2)} %`),
        hoverinfo: 'text',
      },
    ];
    const element = document.getElementById('accuracy-bars');
    element.style.height = `${34 * runs.length + 84}px`;
    Plotly.react(element, traces, layout({
      margin: {l: 20, r: 116, t: 14, b: 52},
      xaxis: {
        title: 'accuracy, %' + (start > 0 ? ` (the axis starts at ${start})` : ''),
        range: [start, Math.min(high + 0.08 * (high - start), 100.5)],
        fixedrange: true,
      },
      yaxis: {
        tickvals: runs.map((run, i) => i),
        ticktext: runs.map((run) => plain(shorten(nameOf(run), narrow() ? 14 : 36)) + ' '),
        range: [runs.length - 0.5, -0.5],
        showgrid: false,
        fixedrange: true,
      },
      annotations: runs.map((run, i) => ({
                              xref: 'paper',
                              x: 1,
                              xanchor: 'left',
                              xshift: 8,
                              y: i,
                              yanchor: 'middle',
                              text: label(run) || '–',
                              showarrow: false,
                            })),
    }), config);
  }

  // Over the replicates that have the epoch and a number in it.
  function meanCurve(run, field) {
    const values = new Map();
    for (const {epochs} of run.replicates) {
      epochs.epoch.forEach((epoch, k) => {
        if (epochs[field][k] === null) return;
        if (!values.has(epoch)) values.set(epoch, []);
        values.get(epoch).push(epochs[field][k]);
      });
    }
    const epochs = [...values.keys()].sort((a, b) => a - b);
    return {
      epoch: epochs,
      value: epochs.map((epoch) => values.get(epoch).reduce((a, b) => a + b, 0) / values.get(epoch).length),
    };
  }

  function curves(field, {dash, symbol, what}, scale, format) {
    const traces = [];
    runs.forEach((run, i) => {
      if (hidden.has(i)) return;
      const mode = (epochs) => epochs.length > 1 ? 'lines' : 'markers';
      if (checked('show-seeds') && run.replicates.length > 1) {
        for (const {epochs} of run.replicates) {
          traces.push({
            x: epochs.epoch,
            y: epochs[field].map((value) => value === null ? null : scale * value),
            mode: mode(epochs.epoch),
            line: {color: colour(i), width: 1, dash},
            marker: {color: colour(i), size: 4, symbol},
            opacity: 0.4,
            hoverinfo: 'skip',
          });
        }
      }
      const mean = meanCurve(run, field);
      traces.push({
        x: mean.epoch,
        y: mean.value.map((value) => scale * value),
        mode: mode(mean.epoch),
        name: plain(run.name),
        line: {color: colour(i), width: 2.2, dash},
        marker: {color: colour(i), size: 8, symbol},
        hovertemplate: `${plain(run.name)}, ${what}<br>epoch %{x}: %{y:${format}}<extra></extra>`,
      });
    });
    return traces;
  }

  function drawCurves() {
    for (const [id, field, title, scale, format] of
             [['loss-curves', 'loss', 'loss', 1, '.4f'], ['accuracy-curves', 'accuracy', 'accuracy, %', 100, '.2f']]) {
      const traces = [
        ...(checked('show-training') ? curves(field, TRAINING, scale, format) : []),
        ...(checked('show-validation') ? curves('validation_' + field, VALIDATION, scale, format) : []),
      ];
      Plotly.react(document.getElementById(id), traces, layout({
        title: {text: title, x: 0.02, xanchor: 'left', font: {size: 14}},
        xaxis: {title: 'epoch', dtick: lastEpoch <= 10 ? 1 : undefined},
        yaxis: {nticks: 8},
        hovermode: 'closest',
      }), config);
    }
  }

  function toggle(name, swatchOf, onChange) {
    const label = document.createElement('label');
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.checked = true;
    box.addEventListener('change', () => onChange(box.checked));
    label.append(box);
    if (swatchOf !== null) {
      const swatch = document.createElement('i');
      swatch.className = 'swatch';
      swatch.dataset.run = swatchOf;
      label.append(swatch);
    }
    label.append(name);
    document.getElementById('run-toggles').append(label);
    return box;
  }

  function addRunToggles() {
    const boxes = [];
    if (runs.length > 1) {
      toggle('all runs', null, (shown) => {
        hidden.clear();
        if (!shown) runs.forEach((run, i) => hidden.add(i));
        for (const box of boxes) box.checked = shown;
        drawCurves();
      });
    }
    runs.forEach((run, i) => {
      if (run.replicates.every(({epochs}) => epochs.epoch.length === 0)) return;
      boxes.push(toggle(run.name, i, (shown) => {
        shown ? hidden.delete(i) : hidden.add(i);
        drawCurves();
      }));
    });
  }

  // Runs that say which classes they take images for.
  const withClasses = runs.map((run, i) => ({run, i})).filter(({run}) => run.classes.length > 0);

  function drawClasses() {
    const {run, i} = withClasses[Number(document.getElementById('class-run').value)];
    const {text, surface} = theme();
    const names = run.classes.map(({name}) => plain(shorten(name, 16)));
    const places = names.map((name, k) => k);
    const share = run.confusion.map((row, k) => row.map((images) => 100 * images / (run.classes[k].images || 1)));
    const few = names.length <= 12;
    const ticks = {tickvals: places, ticktext: names, tickfont: {size: few ? 12 : 9}, showgrid: false, fixedrange: true};
    const height = few ? 420 : Math.min(900, 220 + 13 * names.length);
    const title = (words) => ({text: words, x: 0.02, xanchor: 'left', font: {size: 14}});
    const matrix = document.getElementById('confusion');
    const bars = document.getElementById('class-accuracy');
    for (const element of [matrix, bars]) element.style.height = `${height}px`;
    Plotly.react(matrix, [{
      type: 'heatmap',
      z: share,
      zmin: 0,
      zmax: 100,
      colorscale: [[0, surface], [1, colour(i)]],
      showscale: false,
      xgap: few ? 1 : 0,
      ygap: few ? 1 : 0,
      text: share.map((row) => row.map((value) => few && value >= 0.5 ? value.toFixed(0) : '')),
      texttemplate: '%{text}',
      customdata: run.confusion,
      hovertext: run.confusion.map((row, k) => row.map((images, l) => `${names[k]} taken for ${names[l]}`)),
      hovertemplate: '%{hovertext}<br>%{customdata} images, %{z:.1f} %<extra></extra>',
    }], layout({
      title: title('confusion, %'),
      margin: {l: 20, r: 16, t: 40, b: 20},
      xaxis: {title: 'taken for', ...ticks, tickangle: -45},
      yaxis: {title: 'class', ...ticks, autorange: 'reversed'},
    }), config);
    Plotly.react(bars, [{
      type: 'bar',
      orientation: 'h',
      y: places,
      x: run.classes.map(({accuracy}) => percent(accuracy)),
      marker: {color: colour(i), opacity: 0.85},
      text: run.classes.map(({accuracy}) => !few || accuracy === null ? '' : percent(accuracy).toFixed(1)),
      textfont: {color: text},
      textposition: 'outside',
      cliponaxis: false,
      hovertext: run.classes.map(({images}, k) => `${names[k]}, ${images} images`),
      hovertemplate: '%{hovertext}<br>%{x:.2f} %<extra></extra>',
    }], layout({
      title: title('accuracy by class, %'),
      margin: {l: 20, r: 40, t: 40, b: 44},
      xaxis: {range: [0, 100], fixedrange: true},
      yaxis: {...ticks, range: [names.length - 0.5, -0.5]},
    }), config);
  }

  function addClassRuns() {
    const choice = document.getElementById('class-run');
    withClasses.forEach(({run}, k) => choice.append(new Option(nameOf(run), k)));
    choice.addEventListener('change', drawClasses);
  }

  const hasCalibration = runs.some(({calibration}) => calibration.length > 0);

  // Accuracy over confidence, a line a run.
  function drawReliability() {
    const {muted} = theme();
    const traces = [{x: [0, 100], y: [0, 100], mode: 'lines', line: {color: muted, width: 1, dash: 'dot'}, hoverinfo: 'skip'}];
    runs.forEach((run, i) => {
      const bins = run.calibration.filter(({images}) => images > 0);
      const most = Math.max(...bins.map(({images}) => images));
      traces.push({
        x: bins.map(({confidence}) => percent(confidence)),
        y: bins.map(({accuracy}) => percent(accuracy)),
        mode: 'lines+markers',
        line: {color: colour(i), width: 1.6},
        marker: {color: colour(i), size: bins.map(({images}) => 4 + 10 * Math.sqrt(images / most))},
        customdata: bins.map(({images}) => images),
        hovertemplate: `${plain(nameOf(run))}<br>%{customdata} images, sure to %{x:.1f} %, right in %{y:.1f} %<extra></extra>`,
      });
    });
    Plotly.react(document.getElementById('reliability'), traces, layout({
      margin: {l: 52, r: 20, t: 20, b: 52},
      xaxis: {title: 'confidence, %', range: [0, 101], fixedrange: true},
      yaxis: {title: 'accuracy, %', range: [0, 101], fixedrange: true},
      hovermode: 'closest',
    }), config);
  }

  function draw() {
    if (hasCalibration) drawReliability();
    drawBars();
    if (hasCurves) drawCurves();
    if (withClasses.length > 0) drawClasses();
  }

  if (!hasCalibration) document.getElementById('calibration').remove();
  if (withClasses.length > 0) {
    addClassRuns();
  } else {
    document.getElementById('classes').remove();
  }

  if (hasCurves) {
    addRunToggles();
  } else {
    document.getElementById('curves').remove();
  }
  for (const swatch of document.querySelectorAll('.swatch')) swatch.style.background = colour(Number(swatch.dataset.run));
  document.getElementById('from-zero').addEventListener('change', drawBars);
  if (hasCurves) {
    for (const id of ['show-training', 'show-validation', 'show-seeds']) {
      document.getElementById(id).addEventListener('change', drawCurves);
    }
  }
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  draw();
})();
