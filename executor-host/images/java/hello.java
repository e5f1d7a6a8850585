import java.util.List;
import java.util.Map;
import java.util.Scanner;
import java.util.stream.Collectors;

/** A little of everything that programs are made of: the compiler is trained on it. */
public class Hello {
    sealed interface Shape permits Square, Circle {}

    record Square(double side) implements Shape {}

    record Circle(double radius) implements Shape {}

    enum Language { JAVA, OTHER }

    static double area(Shape shape) {
        return switch (shape) {
            case Square(double side) -> side * side;
            case Circle circle -> Math.PI * circle.radius() * circle.radius();
        };
    }

    static <T extends Comparable<T>> T largest(List<T> list) throws IllegalArgumentException {
        T largest = null;
        for (var item : list) {
            if (largest == null || item.compareTo(largest) > 0) largest = item;
        }
        if (largest == null) throw new IllegalArgumentException("empty");
        return largest;
    }

    public static void main(String[] args) {
        Map<Boolean, List<Shape>> sizes = List.of(new Square(2), new Circle(3)).stream()
                .collect(Collectors.partitioningBy(shape -> area(shape) > 10));
        try (var input = new Scanner(System.in)) {
            int[] counts = {sizes.size(), largest(List.of(1, 2)), input.hasNext() ? 1 : 0};
            StringBuilder text = new StringBuilder("Hello");
            for (int i = 0; i < counts.length && i < 1; i++) text.append(" from ");
            System.out.println(text + (Language.JAVA.ordinal() == 0 ? "Java" : """
                    nowhere"""));
        } catch (IllegalArgumentException error) {
            System.out.printf("%s%n", error.getMessage());
        }
    }
}
