// The parts of ECharts that are used. It is loaded when the first chart is.
import { BarChart, CustomChart, LineChart, ScatterChart } from 'echarts/charts';
import { BrushComponent, GridComponent, TooltipComponent } from 'echarts/components';
import { init, use, type EChartsType } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';

use([
  BarChart, CustomChart, LineChart, ScatterChart,
  BrushComponent, GridComponent, TooltipComponent, CanvasRenderer,
]);

export { init, type EChartsType };
